/**
 * What of the input a recording keeps: as it came where no mask is in force; masked as text that
 * streams where the masks can be kept in such; else nothing but how much it was. What goes on to the
 * host is another matter: it goes at once, as it came.
 */
import type { MaskRule } from '../control.ts'
import { detectorsFor } from '../masking/cell.ts'
import { canStream, TextMasker } from '../masking/text.ts'

export interface KeptInput {
  /** @returns what may be kept by now: a word may still become what is masked */
  push(bytes: Uint8Array): Uint8Array
  end(): Uint8Array
  /** Bytes that were left out. */
  readonly withheld: number
}

/** @param masks in force for the exchange @throws Fault ERR_MASK_FAILED for a pattern that cannot be used */
export function keptInput(masks: readonly MaskRule[]): KeptInput {
  if (masks.length === 0) return new AsItCame()
  return canStream(masks) ? new Masked(masks) : new LeftOut()
}

/** Said in the recording's own words, where there is something to be said. */
export const withheldNote = ({ withheld }: KeptInput): string | undefined =>
  withheld === 0 ? undefined : `${withheld} bytes of input withheld: a mask in force cannot be applied to text`

const none = new Uint8Array()

class AsItCame implements KeptInput {
  readonly withheld = 0
  push = (bytes: Uint8Array) => bytes
  end = () => none
}

class Masked implements KeptInput {
  readonly withheld = 0
  readonly #masker: TextMasker

  constructor(masks: readonly MaskRule[]) {
    this.#masker = new TextMasker(detectorsFor(masks))
  }

  push(bytes: Uint8Array): Uint8Array {
    return this.#masker.push(bytes)
  }

  end(): Uint8Array {
    return this.#masker.end()
  }
}

class LeftOut implements KeptInput {
  #bytes = 0

  get withheld(): number {
    return this.#bytes
  }

  push(bytes: Uint8Array): Uint8Array {
    this.#bytes += bytes.length
    return none
  }

  end = () => none
}
