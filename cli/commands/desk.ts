/** `request`, `pending`, `approve`, `deny`, `revoke`: the desk of a running guard. */
import { Argument, type Command } from 'commander'
import type { Pending } from '../../lib/desk.ts'
import { duration, formatDuration } from '../../lib/duration.ts'
import { savedClient } from '../credentials.ts'
import { colour, output, painted, type Text } from '../output.ts'

export function desk(program: Command): void {
  program
    .command('request')
    .description('ask for a grant: a right that policy gives you, live for a while')
    .argument('<resource>', 'what for: crm/public.customers, or a glob')
    .requiredOption('--action <list>', 'which actions, separated by commas: update,delete')
    .requiredOption('--for <duration>', 'for how long: 15m')
    .option('--reason <text>', 'why, for those who approve and those who read')
    .option('--json', 'print one JSON document')
    .action(async (resource: string, options: { action: string; for: string; reason?: string; json?: boolean }) => {
      const out = output(options.json === true)
      const { id } = await (await savedClient()).post('/v1/grants', {
        resource,
        actions: options.action.split(',').map(action => action.trim()),
        seconds: Math.floor(duration(options.for) / 1000),
        ...(options.reason === undefined ? {} : { reason: options.reason }),
      })
      out.result({ id }, () =>
        out.line(`asked for: ${String(id)}; another person approves it with: counterfoil approve ${String(id)}`),
      )
    })

  program
    .command('pending')
    .description('what waits for a decision that you may take')
    .option('--json', 'print one JSON document')
    .action(async (options: { json?: boolean }) => {
      const out = output(options.json === true)
      const { pending } = (await (await savedClient()).get('/v1/pending')) as unknown as { pending: readonly Pending[] }
      out.result({ pending }, () => {
        if (pending.length === 0) out.line('nothing waits for you')
        for (const item of pending) describe(item, out.line)
      })
    })

  for (const [verb, past] of [
    ['approve', 'approved'],
    ['deny', 'denied'],
    ['revoke', 'revoked'],
  ] as const) {
    const command = program
      .command(verb)
      .description(
        verb === 'revoke'
          ? 'end a grant now, and the sessions that used it'
          : `${verb} a grant (g-...) or one exact action (a-...)`,
      )
      .addArgument(new Argument('<id>', 'its id'))
      .option('--json', 'print one JSON document')
    if (verb === 'revoke') command.option('--reason <text>', 'why')
    command.action(async (id: string, options: { reason?: string; json?: boolean }) => {
      const out = output(options.json === true)
      const body = options.reason === undefined ? {} : { reason: options.reason }
      await (await savedClient()).post(`/v1/items/${encodeURIComponent(id)}/${verb}`, body)
      out.result({ id, done: past }, () => out.line(`${past}: ${id}`))
    })
  }
}

function describe(item: Pending, line: (text?: Text) => void): void {
  const behalf = item.principal === undefined ? '' : ` for ${item.principal}`
  const owner = item.owner === undefined ? '' : ` (owner ${item.owner})`
  line(painted`${colour.bold(item.id)}  ${item.kind} asked by ${item.subject}${behalf}${owner}`)
  for (const { action, resource } of item.accesses) line(`  ${action} ${resource}`)
  if (item.seconds !== undefined) line(`  for ${formatDuration(item.seconds * 1000)}`)
  if (item.reason !== undefined) line(`  reason: ${item.reason}`)
  if (item.action !== undefined) line(`  exactly: ${JSON.stringify(item.action)}`)
  if (item.until !== undefined) line(`  to be decided before ${item.until}`)
}
