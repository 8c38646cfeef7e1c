/** `controlled(gate)` on a real express server, asked by node's own HTTP client. */
import { pipeline, Readable } from 'node:stream'
import express, { type Request, type Response } from 'express'
import { controlled } from '../../../adapters/express/index.ts'
import { canary, type Door, personal } from '../conformance.ts'
import { httpDoor, mebibyte } from '../http/door.ts'

export const expressDoor: Door = httpDoor('express', (gate, counts) => {
  const app = express()
  app.use(express.json(), controlled(gate))
  const counted = (work: keyof typeof counts.done, body: unknown) => (_: Request, response: Response) => {
    counts.done[work] += 1
    response.json(body)
  }
  app.get('/names', counted('read', { name: personal.name }))
  app.get('/customers/1', (_, response) => void response.json(personal))
  app.patch('/orders/1', counted('change', { done: true }))
  app.delete('/orders/1', counted('destroy', { done: true }))
  app.delete('/orders/2', counted('destroy', { done: true }))
  app.post('/logins', (_, response) => void response.json({ done: true }))
  app.all('/silence', (_, response) => {
    counts.running += 1
    response.once('close', () => {
      counts.running -= 1
    })
    response.write('begun')
  })
  app.get('/breaks', (_, response) => {
    response.write(Buffer.alloc(200_000, 'x'), () => response.destroy(new Error(canary)))
  })
  app.get('/long/:mebibytes', (request, response) => {
    const parts = Array.from({ length: Number(request.params.mebibytes) }, () => mebibyte)
    pipeline(Readable.from(parts, { objectMode: false }), response, () => undefined)
  })
  return app
})
