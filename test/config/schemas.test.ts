/** The JSON Schemas in the package: never stale, and of one mind with the reader. */
import { readdir, readFile } from 'node:fs/promises'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import type { Vector } from '../../fixtures/vectors/generate.ts'
import { schemas } from '../../schemas/generate.ts'
import { agentsYaml, counterfoilYaml } from './support.ts'

const read = (path: string) => readFile(new URL(`../../${path}`, import.meta.url), 'utf8')
const validator = (name: string) =>
  new Ajv2020({ strict: true, allowUnionTypes: true }).compile(JSON.parse(schemas().get(name)!) as object)

describe('the JSON Schemas', () => {
  it('are what the definitions give today: npm run schemas', async () => {
    for (const [name, text] of schemas()) expect(await read(`schemas/${name}`), name).toBe(text)
    const stored = (await readdir(new URL('../../schemas', import.meta.url))).filter(name => name.endsWith('.json'))
    expect(stored.sort()).toEqual([...schemas().keys()].sort())
  })

  it('take what the reader takes', async () => {
    expect(validator('counterfoil.schema.json')(parse(counterfoilYaml))).toBe(true)
    expect(validator('agents.schema.json')(parse(agentsYaml))).toBe(true)
    expect(validator('controls.schema.json')(parse(await read('fixtures/policies/controls.yaml')))).toBe(true)
  })

  it('refuse a slip, and an unknown criterion', async () => {
    expect(validator('counterfoil.schema.json')(parse(counterfoilYaml.replace('listen:', 'lisen:')))).toBe(false)
    const controls = await read('fixtures/policies/controls.yaml')
    expect(validator('controls.schema.json')(parse(controls.replace('CC8.1', 'CC8.2')))).toBe(false)
  })

  it('take every golden vector, and none with a member more', async () => {
    const vectors = JSON.parse(await read('fixtures/vectors/entries.json')) as Vector[]
    const validate = validator('entry.schema.json')
    for (const { entry } of vectors) {
      expect(validate(entry), entry.kind).toBe(true)
      expect(validate({ ...entry, extra: 1 }), entry.kind).toBe(false)
    }
  })
})
