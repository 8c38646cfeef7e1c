/** How far a long work is, on one line of a terminal's standard error; nothing where that is no terminal. */
const everyMs = 100
const width = 24

export interface Progress {
  (done: number, of: number): void
  /** Takes the line away. */
  end(): void
}

export function progressOn(stream: NodeJS.WriteStream, name: string): Progress {
  let last = 0
  let shown = false
  const show = (done: number, of: number) => {
    const now = Date.now()
    if (stream.isTTY !== true || now - last < everyMs) return
    last = now
    shown = true
    const part = of === 0 ? 1 : done / of
    const bar = '#'.repeat(Math.floor(part * width)).padEnd(width, '.')
    const line = `${name}  [${bar}] ${String(Math.floor(part * 100)).padStart(3)} %  ${done} of ${of} entries`
    stream.write(`\r${line.slice(0, (stream.columns ?? 80) - 1)}\u001b[K`)
  }
  const end = () => {
    if (shown) stream.write('\r\u001b[K')
  }
  return Object.assign(show, { end })
}
