/** Writes the JSON Schemas (2020-12) from the definitions that check the files and entries themselves: `npm run schemas`. */
import { writeFile } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import { agentsFile, configFile, controlsFile, hostsFile, schemaOf } from '../lib/config/schema.ts'
import { entrySchema } from '../lib/format/entry.ts'

/** File name to content. */
export function schemas(): ReadonlyMap<string, string> {
  const all: Record<string, object> = {
    'counterfoil.schema.json': schemaOf(configFile),
    'controls.schema.json': schemaOf(controlsFile),
    'agents.schema.json': schemaOf(agentsFile),
    'hosts.schema.json': schemaOf(hostsFile),
    'entry.schema.json': entrySchema(),
  }
  return new Map(Object.entries(all).map(([name, schema]) => [name, `${JSON.stringify(schema, undefined, 2)}\n`]))
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const [name, text] of schemas()) await writeFile(new URL(name, import.meta.url), text)
}
