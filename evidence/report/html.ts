/** HTML that nothing can be smuggled into: every value is escaped unless it was made here. */
import { visible } from '../csv.ts'

export interface Html {
  readonly html: string
}

type Value = Html | string | number | undefined | readonly Html[]

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Control characters, and those that reorder text, are shown; markup is text. */
export const escapeHtml = (text: string): string => visible(text).replaceAll(/[&<>"']/g, c => entities[c]!)

/** A remark that stands by itself. */
export const sentence = (remark: string): string => `${remark[0]!.toUpperCase()}${remark.slice(1)}.`

export function html(strings: TemplateStringsArray, ...values: readonly Value[]): Html {
  return { html: strings.map((text, i) => text + render(values[i])).join('') }
}

function render(value: Value): string {
  if (value === undefined) return ''
  if (typeof value === 'string' || typeof value === 'number') return escapeHtml(String(value))
  return 'html' in value ? value.html : value.map(one => one.html).join('')
}
