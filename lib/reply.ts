/**
 * What an upstream answers: a head, data, an end. Lazy: the upstream starts when the first frame is pulled, and back-pressure
 * is the language's own. A frame carries what one read delivered, never one row.
 */

export type Frame = Head | Data | End

export interface Head {
  readonly type: 'head'
  /** What the data is made of, and so how it can be masked. */
  readonly form: Form
  /** The upstream answers with an error of its own. Absent where that is not known before the end. */
  readonly failed?: true
  /** The head as it goes on the wire, where the protocol has one. */
  readonly bytes?: Uint8Array
}

export interface Data {
  readonly type: 'data'
  /** What it belongs to: rows, body, stdout, stderr, copy. */
  readonly channel: string
  readonly bytes: Uint8Array
  /** Rows, lines or body parts in it. */
  readonly items: number
}

export interface End {
  readonly type: 'end'
  /** `failed`: the upstream itself answered with an error, passed on to the subject. */
  readonly result: 'completed' | 'failed'
  readonly code?: string
  /** What is known already of whether a change stands; absent for what will be settled later. */
  readonly settled?: 'committed' | 'rolled-back' | 'unknown' | 'nothing'
  readonly bytes?: Uint8Array
}

export type Form =
  /** Bytes that no mask can be applied to: under a mask, refused. */
  | { readonly kind: 'opaque' }
  /** Certainly no data of the target in it: a command's tag, an empty body. Passes under any mask. */
  | { readonly kind: 'empty' }
  /** One JSON document, in UTF-8. */
  | { readonly kind: 'json' }
  /** JSON documents, one on each line: newline-delimited JSON. Their number is the reply's items. */
  | { readonly kind: 'json-lines' }
  /** JSON documents with separators between them (RFC 7464). */
  | { readonly kind: 'json-sequence' }
  /** Server-sent events (WHATWG HTML, 9.2). */
  | { readonly kind: 'events' }
  | TextForm
  | RowsForm

/** Text in UTF-8, in pieces that break anywhere. */
export interface TextForm {
  readonly kind: 'text'
  /** Where a terminal shows it: its size in characters, and what it calls itself. Its text has escape sequences in it. */
  readonly terminal?: { readonly columns: number; readonly rows: number; readonly term?: string }
}

export interface RowsForm {
  readonly kind: 'rows'
  readonly columns: readonly Column[]
  /** How the protocol describes the columns, for a recording: where they were described before, and the head has no bytes of its own. */
  readonly description?: Uint8Array
  /**
   * Replaces cells in a chunk of whole rows, staying valid in the wire's format and the column's type; where the mask's text
   * would not be valid for the type, the cell becomes NULL.
   * @param masks one for each column; undefined leaves the cell as it is
   */
  rewrite(chunk: Uint8Array, masks: readonly (CellMask | undefined)[]): Uint8Array
}

export interface Column {
  /** As the reply names it: an alias, maybe. */
  readonly name: string
  /** The field it comes from, as its table names it; undefined where the origin is unknown. */
  readonly field?: string
  /** The resources that this field may be masked under: the table and its ancestors. Empty where the origin is unknown. */
  readonly resources: readonly string[]
  /**
   * For a view's column: the tables that it may show data of. Redacted if one is under a mask, unless a rule that
   * covers none of them was written for the view's own column.
   */
  readonly through?: readonly string[]
  /** Unknown origin, and yet proved to show no data of a masked field, as `count(*)`. */
  readonly harmless?: boolean
}

/** @returns what is shown instead of the cell's text; null for no value. */
export type CellMask = (text: string) => string | null

export type Reply = AsyncIterable<Frame>
