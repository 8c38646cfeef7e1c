/** The gateway end to end: both protocols, transactions, refusals, COPY, cursors, what is recorded. */
import type pg from 'pg'
import Cursor from 'pg-cursor'
import { describe, expect, test } from 'vitest'
import { failure, gateway } from './support.ts'

const rules = `
p, role:support, crm/**, *, allow
p, role:support, crm/public.forbidden, *, deny
p, role:clerk, crm/public.orders, *, allow
p, role:curious, crm/public.orders, *, allow
p, role:curious, crm/pg_catalog.*, select, allow
g, requester@crm.example, role:support
g, owner@crm.example, role:clerk
g, dba@crm.example, role:curious
`
const { crm } = await import('../../support/postgres.ts')
const setup = gateway([], {
  sql: `${crm} create table forbidden (n int); insert into forbidden values (1);
    create table deferred (n int unique deferrable initially deferred);`,
  rules,
})

const outcomes = async () => (await setup().of('outcome')).slice(-1)[0]

test('simple and extended queries go through and come back', async () => {
  const client = await setup().client()
  const simple = await client.query('select id, name from customers where id = 3')
  expect(simple.rows).toEqual([{ id: 3, name: 'Customer 0003' }])
  const extended = await client.query('select name from customers where id = $1', [4])
  expect(extended.rows).toEqual([{ name: 'Customer 0004' }])
  const named = { name: 'one', text: 'select name from customers where id = $1' }
  for (const id of [5, 6]) {
    const { rows } = await client.query({ ...named, values: [id] })
    expect(rows).toEqual([{ name: `Customer 000${id}` }])
  }
})

test('a text that cannot be read is refused in both protocols, and each time recorded, without the text', async () => {
  const client = await setup().client()
  for (const values of [undefined, [1]]) {
    const error = await failure(client.query('selec canary-4711 frm $1', values))
    expect(error).toMatchObject({ code: '42601' })
    expect((await setup().of('decision')).at(-1)).toMatchObject({
      verdict: 'deny',
      accesses: [{ action: 'execute', resource: 'crm/code' }],
    })
  }
  expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
})

test('a statement that does more than an entry can hold is refused in both protocols, and each time recorded', async () => {
  const client = await setup().client()
  const text = `select 1 from ${Array.from({ length: 300 }, (_, i) => `nowhere${i}`).join(', ')}`
  const denials = async () => (await setup().of('decision')).filter(({ verdict }) => verdict === 'deny').length
  const before = await denials()
  expect((await failure(client.query(text))).ours).toBe('ERR_ACCESS_DENIED')
  expect(await denials()).toBe(before + 1)
  await expect(client.query({ name: 'many', text, values: [] })).rejects.toThrow()
  expect(await denials()).toBe(before + 2)
})

describe('a relation that is not there', () => {
  const asking = async (password: string, text: string) => {
    const answer = await failure((await setup().client(password)).query(text))
    expect((await setup().of('decision')).at(-1)).toMatchObject({ verdict: 'deny' })
    return answer
  }

  test('is said to be unknown to who may read the catalog, and what is there is said to be forbidden', async () => {
    const absent = { code: '42P01', ours: 'ERR_ACCESS_DENIED' }
    for (const text of [
      'select * from nosuch',
      'delete from nosuch',
      'drop table nosuch',
      'select 1 from orders, nosuch',
    ]) {
      const answer = await asking('dba@crm.example', text)
      expect(answer).toMatchObject(absent)
      expect(answer.message).toContain('relation "nosuch"')
    }
    const qualified = await asking('dba@crm.example', 'select * from elsewhere.nosuch')
    expect(qualified).toMatchObject({ ...absent, message: expect.stringContaining('relation "elsewhere.nosuch"') })
    for (const text of ['select * from forbidden', 'select 1 from nosuch, forbidden']) {
      expect((await asking('dba@crm.example', text)).code).toBe('42501')
    }
  })

  test('is denied to others as what is there and forbidden is', async () => {
    for (const [first, second] of [
      ['select * from nosuch1', 'select * from forbidden'],
      ['select * from public.nosuch1', 'select * from public.forbidden'],
      ['update nosuch1 set n = 1', 'update forbidden set n = 1'],
      ['select 1 from orders, nosuch1', 'select 1 from orders, forbidden'],
    ] as const) {
      const [absent, present] = [await asking('owner@crm.example', first), await asking('owner@crm.example', second)]
      expect({ ...absent, message: absent.message.replaceAll('nosuch1', 'forbidden') }).toEqual(present)
    }
  })
})

test('every execution is an exchange with a decision and an outcome, and its rows are counted', async () => {
  const client = await setup().client()
  await client.query('select id from customers where id < $1', [8])
  const decision = (await setup().of('decision')).at(-1)!
  expect(decision).toMatchObject({ verdict: 'permit', read: true, risk: 'low' })
  expect(decision.accesses).toEqual([{ action: 'select', resource: 'crm/public.customers' }])
  expect(await outcomes()).toMatchObject({
    exchange: decision.exchange,
    result: 'completed',
    items: 7,
    settled: 'nothing',
  })
})

test('several statements in one text are one exchange, and all results come back', async () => {
  const client = await setup().client()
  const results = (await client.query(
    'select 1 as a; select 2 as b; insert into numbers values (-1)',
  )) as unknown as pg.QueryResult[]
  expect(results.map(result => result.rows)).toEqual([[{ a: 1 }], [{ b: 2 }], []])
  expect((await setup().of('decision')).at(-1)!.accesses).toContainEqual({
    action: 'insert',
    resource: 'crm/public.numbers',
  })
  expect(await outcomes()).toMatchObject({ settled: 'committed' })
})

test('of a text with one forbidden statement nothing is forwarded', async () => {
  const client = await setup().client()
  const refused = await failure(client.query('insert into numbers values (-2); select * from forbidden'))
  expect(refused).toMatchObject({ code: '42501', ours: 'ERR_ACCESS_DENIED' })
  expect((await setup().direct.query('select 1 from numbers where n = -2')).rowCount).toBe(0)
  expect((await client.query('select 1 as still')).rows).toEqual([{ still: 1 }])
})

test('an error of the server comes through as it is, with the outcome failed', async () => {
  const client = await setup().client()
  expect(await failure(client.query('select * from customers where nothing = 1'))).toMatchObject({
    code: '42703',
    ours: 'errorMissingColumn',
  })
  expect(await outcomes()).toMatchObject({ result: 'failed', code: '42703' })
  expect(await failure(client.query('select nothing from customers where id = $1', [1]))).toMatchObject({
    code: '42703',
  })
  expect((await client.query('select 1 as still')).rows).toEqual([{ still: 1 }])
})

test('what cannot be parsed is refused with the position, and nothing is forwarded', async () => {
  const client = await setup().client()
  const error = await client.query("select 'é', * form customers").catch(e => e)
  expect(error).toMatchObject({ code: '42601' })
  const direct = await setup()
    .direct.query("select 'é', * form customers")
    .catch(e => e)
  expect({ position: error.position, message: error.message }).toEqual({
    position: direct.position,
    message: direct.message,
  })
})

test('a refusal inside a transaction fails the transaction until it is rolled back', async () => {
  for (const values of [undefined, []]) {
    const client = await setup().client()
    await client.query('begin')
    await client.query('insert into numbers values (-3)')
    const text = 'select n from forbidden'
    const refused = values === undefined ? client.query(text) : client.query({ text, name: 'refused' })
    expect(await failure(refused)).toMatchObject({ code: '42501', ours: 'ERR_ACCESS_DENIED' })
    expect(await failure(client.query('select 1'))).toMatchObject({ code: '25P02' })
    expect((await client.query('commit')).command).toBe('ROLLBACK')
    expect((await setup().direct.query('select 1 from numbers where n = -3')).rowCount).toBe(0)
  }
})

test('COMMIT settles what the transaction changed, and CommandComplete does not', async () => {
  const client = await setup().client()
  await client.query('begin')
  await client.query('insert into numbers values (-4)')
  const { exchange, settled } = (await outcomes())!
  expect(settled).toBeUndefined()
  await client.query('commit')
  await expect
    .poll(() => setup().of('settled'))
    .toContainEqual(expect.objectContaining({ exchanges: [exchange], result: 'committed' }))
})

test('a commit that fails on a deferred constraint settles as rolled back', async () => {
  const client = await setup().client()
  await client.query('begin')
  await client.query('insert into deferred values (1), (1)')
  const { exchange } = (await outcomes())!
  expect(await failure(client.query('commit'))).toMatchObject({ code: '23505' })
  await expect
    .poll(() => setup().of('settled'))
    .toContainEqual(expect.objectContaining({ exchanges: [exchange], result: 'rolled-back' }))
  expect(await failure(client.query('insert into deferred values (2), (2)'))).toMatchObject({ code: '23505' })
  expect(await outcomes()).toMatchObject({ result: 'failed', settled: 'rolled-back' })
})

test('ROLLBACK TO settles what came after the savepoint, and COMMIT the rest', async () => {
  const client = await setup().client()
  await client.query('begin')
  await client.query('insert into numbers values (-5)')
  const kept = (await outcomes())!.exchange
  await client.query('savepoint a')
  await client.query('insert into numbers values (-6)')
  const undone = (await outcomes())!.exchange
  await client.query('rollback to a')
  await client.query('commit')
  await expect
    .poll(async () => (await setup().of('settled')).slice(-2))
    .toMatchObject([
      { exchanges: [undone], result: 'rolled-back' },
      { exchanges: [kept], result: 'committed' },
    ])
})

test('a connection that ends in an open transaction settles it as rolled back', async () => {
  const client = await setup().client()
  await client.query('begin')
  await client.query('insert into numbers values (-7)')
  const { exchange } = (await outcomes())!
  await client.end()
  await expect
    .poll(() => setup().of('settled'))
    .toContainEqual(expect.objectContaining({ exchanges: [exchange], result: 'rolled-back' }))
})

test('a portal is fetched in pieces, each an exchange', async () => {
  const client = await setup().client()
  const cursor = client.query(new Cursor<{ n: number }>('select n from numbers where n > 0 order by n'))
  const before = (await setup().of('decision')).length
  expect((await cursor.read(3)).map(row => row.n)).toEqual([1, 2, 3])
  expect((await cursor.read(2)).map(row => row.n)).toEqual([4, 5])
  await cursor.close()
  expect((await setup().of('decision')).length - before).toBe(2)
  expect((await client.query('select 1 as still')).rows).toEqual([{ still: 1 }])
})

test('cursors in SQL carry the accesses of what they were declared for', async () => {
  const client = await setup().client()
  await client.query('begin')
  await client.query('declare c cursor for select n from numbers where n > 0 order by n')
  expect((await client.query('fetch 2 from c')).rows).toEqual([{ n: 1 }, { n: 2 }])
  expect((await setup().of('decision')).at(-1)!.accesses).toEqual([
    { action: 'select', resource: 'crm/public.numbers' },
  ])
  await client.query('close c')
  await client.query('commit')
})

test('a large result streams through whole', async () => {
  const client = await setup().client()
  const { rows } = await client.query('select n, repeat($1, 20) as t from numbers where n > 0', ['x'])
  expect(rows).toHaveLength(50_000)
  expect(await outcomes()).toMatchObject({ items: 50_000, result: 'completed' })
})

test('an empty text is answered as the server answers it', async () => {
  const client = await setup().client()
  for (const text of ['', '  ', '-- nothing', ';']) {
    expect((await client.query(text)).rows).toEqual([])
    expect((await client.query({ text, name: `empty${text.length}` })).rows).toEqual([])
  }
})

test('notices and notifications come through', async () => {
  const client = await setup().client()
  const notices: string[] = []
  const heard: string[] = []
  client.on('notice', notice => notices.push(notice.message ?? ''))
  client.on('notification', ({ payload }) => heard.push(payload ?? ''))
  await client.query("do $$ begin raise notice 'told'; end $$")
  expect(notices).toEqual(['told'])
  await client.query('listen news')
  const other = await setup().client()
  await other.query("notify news, 'fresh'")
  await expect.poll(() => heard).toEqual(['fresh'])
})
