/** A real express server on loopback. */
import type http from 'node:http'
import express, { type Express } from 'express'
import { listen, type Served } from '../http/client.ts'

export async function serve(build: (app: Express) => void, options: http.ServerOptions = {}): Promise<Served> {
  const app = express()
  build(app)
  return listen(app, options)
}
