/** Findings as workflow commands of GitHub Actions, which shows them beside a run. Hostile text cannot begin a command of its own. */
import { lineOf, type Suite } from './junit.ts'

/** GitHub shows no more than ten of a step. */
const mostShown = 9

export function annotations(all: readonly Suite[]): string[] {
  return all.flatMap(({ name, verdict, findings, detail }) => {
    if (verdict === 'OK') return []
    const level = verdict === 'TAMPERED' ? 'error' : 'warning'
    const title = property(`${verdict}: ${name}`)
    const lines = findings.length === 0 ? [detail] : findings.slice(0, mostShown).map(lineOf)
    if (findings.length > mostShown) lines.push(`and ${findings.length - mostShown} more`)
    return lines.map(line => `::${level} title=${title}::${data(line)}`)
  })
}

const data = (text: string) =>
  text
    .replaceAll('%', '%25')
    .replaceAll('\r', '%0D')
    .replaceAll(/[\n\u2028\u2029\u0085\v\f]/g, '%0A')

const property = (text: string) => data(text).replaceAll(':', '%3A').replaceAll(',', '%2C')
