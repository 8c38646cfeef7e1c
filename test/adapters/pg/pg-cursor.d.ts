/** The part of pg-cursor that the tests use: it brings no types. */
declare module 'pg-cursor' {
  import type { Submittable } from 'pg'
  export default class Cursor<Row = Record<string, unknown>> implements Submittable {
    constructor(text: string, values?: unknown[])
    submit: Submittable['submit']
    read(rows: number): Promise<Row[]>
    close(): Promise<void>
  }
}
