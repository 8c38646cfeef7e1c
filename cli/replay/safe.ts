/**
 * A recorded terminal's output, made safe to be shown on another: colours and movements pass; whatever could make that terminal answer,
 * copy, rename itself or load anything is shown in its place (ECMA-48; xterm's control sequences).
 */
import { visible } from '../output.ts'

/** Ends of control sequences that move, erase, scroll or colour. All others ask, configure, or report. */
const harmlessCsi = new Set([...'ABCDEFGHJKLMPSTXZ@`adefmr'])
/** Private modes that draw differently and no more: wrap, cursor shown, other screen, bracketed paste. */
const harmlessModes = /^\?(1|7|12|25|47|1047|1048|1049|2004)$/

type State = 'text' | 'escape' | 'csi' | 'string'

export class SafeTerminal {
  #state: State = 'text'
  #held = ''

  /** @param text the next piece; sequences may go on in the one after it. @returns what may be shown of it */
  show(text: string): string {
    let out = ''
    for (const character of text) out += this.#next(character)
    return out
  }

  #next(character: string): string {
    const code = character.codePointAt(0)!
    if (this.#state === 'text') return this.#plain(character, code)
    this.#held += character
    if (this.#held.length > 4096) return this.#done(visible(this.#held))
    if (this.#state === 'escape') {
      if (character === '[') this.#state = 'csi'
      // OSC, DCS, SOS, PM, APC: strings that terminals act upon.
      else if (']PX^_'.includes(character)) this.#state = 'string'
      // Save and restore the cursor; index; keypad modes; character sets take one more.
      else if (/[78DEM=>]/.test(character)) return this.#done(this.#held)
      else if (!/[ -/]/.test(character)) return this.#done(this.#isCharset() ? this.#held : visible(this.#held))
      return ''
    }
    if (this.#state === 'csi') {
      if (code < 0x40 || code > 0x7e) return code < 0x20 || code > 0x7e ? this.#done(visible(this.#held)) : ''
      return this.#done(isHarmless(this.#held.slice(2, -1), character) ? this.#held : visible(this.#held))
    }
    // A string ends with BEL or ST.
    if (code === 0x07 || code === 0x9c || this.#held.endsWith('\u001b\\')) return this.#done(visible(this.#held))
    return ''
  }

  #plain(character: string, code: number): string {
    if (code === 0x1b) {
      this.#state = 'escape'
      this.#held = character
      return ''
    }
    // Tab, backspace, line feed, carriage return. Bells and shifts are shown, C1 and formatting characters too.
    return [0x08, 0x09, 0x0a, 0x0d].includes(code) ? character : visible(character)
  }

  #isCharset(): boolean {
    return /^[()][0AB]$/.test(this.#held.slice(1))
  }

  #done(shown: string): string {
    this.#state = 'text'
    this.#held = ''
    return shown
  }
}

function isHarmless(parameters: string, final: string): boolean {
  if (final === 'h' || final === 'l') return harmlessModes.test(parameters)
  return harmlessCsi.has(final) && /^[0-9;:]*$/.test(parameters)
}
