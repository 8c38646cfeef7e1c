/** The keys of a replay at a terminal: space pauses and goes on, `+` and `-` change the speed, `q` ends. Elsewhere it just waits. */

export interface Keys {
  wait(ms: number): Promise<'go on' | 'quit'>
  close(): void
}

/** @param speed that the waits were reckoned by */
export function keys(speed: number, input: NodeJS.ReadStream = process.stdin): Keys {
  let factor = 1
  let paused = false
  let quit = false
  let changed: () => void = () => undefined
  const pressed = (bytes: Buffer) => {
    for (const key of bytes.toString('latin1')) {
      if (key === ' ') paused = !paused
      else if (key === '+') factor *= 2
      else if (key === '-') factor /= 2
      else if (key === 'q' || key === '\u0003') quit = true
    }
    changed()
  }
  const atTerminal = speed > 0 && input.isTTY
  if (atTerminal) input.setRawMode(true).on('data', pressed).resume()
  return {
    async wait(ms) {
      for (let left = ms; !quit && (paused || left > 0); ) {
        const began = performance.now()
        const running = !paused
        const at = factor
        await new Promise<void>(resolve => {
          const timer = running ? setTimeout(resolve, left / at) : undefined
          changed = () => {
            clearTimeout(timer)
            resolve()
          }
        })
        if (running) left -= (performance.now() - began) * at
      }
      return quit ? 'quit' : 'go on'
    },
    close: () => {
      if (atTerminal) input.setRawMode(false).off('data', pressed).pause()
    },
  }
}
