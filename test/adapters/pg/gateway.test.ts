/** The gateway end to end: both protocols, transactions, refusals, what is recorded. */
import { expect, test } from 'vitest'
import { failure, gateway, requesterId } from './support.ts'

const setup = gateway()

test('a simple query goes through and comes back', async () => {
  const client = await setup().client()
  const { rows } = await client.query('select id, name from customers where id = 3')
  expect(rows).toEqual([{ id: 3, name: 'Customer 0003' }])
})

test('an extended query with values goes through and comes back', async () => {
  const client = await setup().client()
  const { rows } = await client.query('select name from customers where id = $1', [4])
  expect(rows).toEqual([{ name: 'Customer 0004' }])
})
