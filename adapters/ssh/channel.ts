/** A session channel: what a client asks for before it starts something (terminal, environment), and what it starts. */
import type { ServerChannel, Session } from 'ssh2'
import { Refusal } from '../../lib/errors.ts'
import { commandReply, type Running } from './command.ts'
import { conduct, notice } from './conduct.ts'
import { sendExit, terminalModes } from './internals.ts'
import type { Live } from './live.ts'
import { commandOperation, refusedOperation, type Terminal } from './operation.ts'
import { serveSftp } from './sftp/session.ts'

const mostVariables = 64
const longestValue = 4096

/** Serves one channel, whose client may start one thing on it (RFC 4254, 6.5). */
export function serveChannel(session: Session, live: Live): void {
  const env: Record<string, string> = {}
  const running: Running = {}
  let terminal: Terminal | undefined
  let begun = false

  session.on('pty', (accept, reject, info) => {
    // What has been asked for is judged as it was then.
    if (begun) return reject?.()
    // ssh2 types it without its name.
    const { term } = info as unknown as Terminal
    terminal = { ...info, term, modes: terminalModes(live.parts.connection) ?? Buffer.alloc(0) }
    accept?.()
  })
  session.on('window-change', (accept, _, size) => {
    if (terminal !== undefined) terminal = { ...terminal, ...size }
    running.resize?.(size)
    accept?.()
  })
  session.on('env', (accept, reject, { key, val }) => {
    const allowed = live.parts.environment.some(pattern => pattern.test(key))
    if (!allowed || val.length > longestValue || Object.keys(env).length >= mostVariables) return reject?.()
    env[key] = val
    accept?.()
  })
  session.on('signal', (accept, _, { name }) => {
    running.signal?.(name)
    accept?.()
  })
  session.on('auth-agent', (_, reject) => {
    void live.refuse(refusedOperation(live.base, 'agent', 'forward'), notForwarded('the agent'))
    reject?.()
  })
  session.on('x11', (_, reject) => {
    void live.refuse(refusedOperation(live.base, 'x11', 'forward'), notForwarded('X11'))
    reject?.()
  })
  session.on('exec', (accept, _, { command }) => void start(accept(), command))
  session.on('shell', accept => void start(accept(), undefined))
  session.on('subsystem', (accept, reject, { name }) => {
    if (name === 'sftp') return void serveSftp(accept(), live)
    const error = new Refusal('ERR_ACCESS_DENIED', 'sftp is the only subsystem that the gateway lets through')
    void live.refuse(refusedOperation(live.base, 'subsystem', 'subsystem', name), error)
    reject?.()
  })

  // Accepted before it is judged: ssh2 forgets the request when the client's EOF comes first,
  // and only what runs can say why it is refused.
  async function start(channel: ServerChannel | undefined, command: string | undefined): Promise<void> {
    if (channel === undefined) return
    begun = true
    const asked = { command, env: { ...env }, terminal }
    await conduct(
      channel,
      live,
      async (outlet, signal) => {
        const result = await live.run(
          commandOperation(live.base, asked),
          { signal, onHeld: ({ approval }) => void notice(channel, outlet, live.parts.holdNotice(approval), terminal) },
          // Of the terminal, its size may have changed since.
          exchange => commandReply(exchange, live, { ...asked, terminal }, channel, running),
          frame =>
            frame.type === 'data'
              ? outlet.write(frame.bytes, frame.channel === 'stderr' ? channel.stderr : channel)
              : undefined,
        )
        if ('end' in result) sendExit(channel, running.exit!)
        return result
      },
      terminal,
    )
  }
}

const notForwarded = (what: string) => new Refusal('ERR_ACCESS_DENIED', `${what} is not forwarded by the gateway`)
