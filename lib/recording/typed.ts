/** What of the keys typed is kept: not the answer to a prompt for a secret, which no terminal echoes either. */

const withheld = '[withheld]'
/** The last line shown, as programs ask: `Password:`, `[sudo] password for x:`, `Enter passphrase for key ...:`, `PIN:`. */
const asksForSecret = /(pass\s?(word|phrase|code)|secret|token|\bpin\b|\botp\b|verification code)[^\n]{0,200}[:?>]\s*$/i
const longestLine = 1024

export class Typed {
  #line = ''
  #secret = false

  shown(text: string): void {
    this.#line = `${this.#line}${text}`
      .slice(-longestLine)
      .split(/[\r\n]/)
      .at(-1)!
  }

  /** @returns the text to be recorded in the place of what was typed */
  kept(text: string): string {
    let kept = ''
    for (const character of text) {
      if (!this.#secret && asksForSecret.test(plain(this.#line))) {
        this.#secret = true
        kept += withheld
      }
      // Ctrl-C and Ctrl-D end the answer as Enter does.
      const ends = character === '\r' || character === '\n' || character === '\u0003' || character === '\u0004'
      if (!this.#secret || ends) kept += character
      if (ends) {
        this.#secret = false
        this.#line = ''
      }
    }
    return kept
  }
}

/** Without what colours a prompt (ECMA-48, 5.4: control sequences). */
// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
const plain = (line: string) => line.replaceAll(/\u001b\[[0-?]*[ -/]*[@-~]/g, '')
