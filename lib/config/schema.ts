/**
 * The files as they are written: one definition each gives the strict check and the JSON Schema for editors. Nothing is converted
 * here; what a value means is for config.ts and controls.ts.
 */
import { z } from 'zod'
import { criteria } from '../criteria.ts'
import { durationPattern } from '../duration.ts'
import { namePattern } from '../identity/names.ts'
import { readGateway } from '../ledger/shared/gateway-url.ts'

/** What is no text at all is told as what has another form: `30` for a duration. */
const pattern = (regex: RegExp, error: string) => z.string({ error }).regex(regex, { error })

const duration = pattern(durationPattern, 'not a duration: a whole number and one unit, as 30s, 15m, 8h, 30d')
const role = pattern(/^role:[A-Za-z0-9._-]{1,128}$/, 'not a role: write role:NAME')
const file = z.string().min(1, { error: 'a path is missing' })
const date = pattern(
  /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2})?Z)?$/,
  'not a date: write 2026-01-31, or 2026-01-31T12:00Z, in UTC',
)
const secret = pattern(
  /^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$/,
  'a secret is never written here: write env:NAME or file:PATH',
)
const target = pattern(
  /^[a-z][a-z0-9-]{0,31}$/,
  'not a name: lower case letters, digits and -, a letter first, 32 at most',
)
const address = pattern(/^([A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}$/, 'not an address: write HOST:PORT')
const space = pattern(
  /^([1-9][0-9]{0,6}(MiB|GiB|TiB)|[1-9][0-9]?%)$/,
  'not a space: a whole number and MiB, GiB, TiB or %',
)
const word = (most: number, error: string) => pattern(new RegExp(`^[\\x21-\\x7e]{1,${most}}$`), error)
const line = (most: number) =>
  z
    .string()
    .min(1, { error: 'some text is missing' })
    .max(most, { error: `over ${most} characters` })

const tls = z.strictObject({
  key: secret.describe('Private key, PEM'),
  cert: file.describe('Certificate chain, PEM; relative to this file'),
})

const mutualTls = z.strictObject({
  ...tls.shape,
  ca: file.describe('Who issues the certificates of the other side, PEM; relative to this file'),
})

const writer = pattern(
  /^(env:[A-Za-z_][A-Za-z0-9_]*|[A-Za-z0-9][A-Za-z0-9._/-]{0,62})$/,
  'not a name: letters, digits, . _ / and -, 63 at most; or env:NAME',
)

const gateway = z.string().refine(text => readGateway(text) !== undefined, {
  error: 'not the address of a ledger: write tls://HOST:PORT',
})

/** Of a process on a host without the directory: it appends through who leads there. */
const remoteLedger = z.strictObject({
  gateway: z
    .union([gateway, z.array(gateway).min(1, { error: 'name one address at least' })])
    .describe('tls://HOST:PORT of the process that has the ledger; of all that may lead, as a list'),
  writer: writer.describe('Under which name this process appends: the one that its certificate bears'),
  tls: mutualTls,
  heartbeat: duration.optional().describe('60s where left out, and at most'),
})

const orRemote = <S extends z.ZodRawShape>(own: S) => z.union([z.strictObject(own), remoteLedger])

const listener = { name: target.describe('The first segment of every resource behind it'), address }

const postgresListener = z.strictObject({
  ...listener,
  protocol: z.literal('postgres'),
  tls: tls.optional(),
  upstream: secret.describe('Connection URL'),
})

const sshListener = z.strictObject({
  ...listener,
  protocol: z.literal('ssh'),
  hostKey: z
    .union([secret, z.array(secret).min(1, { error: 'name one key at least' })])
    .describe('Private key by which it proves itself to clients; several, of different types, as a list'),
  upstream: file.describe('hosts.yaml: the hosts behind it, and how it logs in to each'),
  environment: z
    .array(
      pattern(/^[A-Za-z_][A-Za-z0-9_]*\*?$/, 'not a name of a variable: write LANG, or LC_* for all that begin so'),
    )
    .optional()
    .describe('Variables that clients may set on hosts; LANG and LC_* where left out'),
})

export const configFile = z
  .strictObject({
    name: pattern(
      /^[a-z0-9][a-z0-9._/-]{0,62}$/,
      'not a name: lower case letters, digits, . _ / and -, 63 at most',
    ).describe("The ledger's origin: what its checkpoints are signed for"),
    ledger: orRemote({
      directory: file,
      keys: z.strictObject({
        note: secret.describe('Ed25519 private key (PEM) that signs checkpoints'),
        seal: z
          .union([
            secret,
            z.strictObject({ key: secret, passphrase: secret.optional() }),
            z.strictObject({
              gpg: pattern(/^([0-9A-Fa-f]{4}\s*){10}$/, 'not a fingerprint: 40 hex digits').describe(
                'Fingerprint of a key that gpg holds: in its agent, or on a smartcard',
              ),
              home: file.optional().describe("gpg's home; its own default where left out"),
              program: z.string().min(1).optional().describe('gpg where left out'),
            }),
          ])
          .describe('OpenPGP private key that seals: armored, or held by gpg'),
        vault: secret.describe('32 random bytes, base64url, under which disclosures are encrypted'),
      }),
      heartbeat: duration.optional().describe('60s where left out'),
      disk: z
        .strictObject({ warn: space.optional(), refuse: space.optional() })
        .optional()
        .describe('Space left on its file system: 2GiB and 500MiB where left out'),
      shared: z
        .boolean()
        .optional()
        .describe('Several processes of this host append to the directory: one leads, and another takes over from it'),
      listen: z
        .strictObject({ address, tls: mutualTls })
        .optional()
        .describe('Where processes of other hosts append, as long as this one leads; needs shared: true'),
      writer: writer
        .optional()
        .describe(
          'Under which name this process appends; where shared, each has its own. The name above where left out',
        ),
      recordings: z
        .strictObject({
          to: z
            .union([file, z.array(file).min(1, { error: 'name one certificate at least' }).max(16)])
            .describe('OpenPGP certificates, armored, of those who may read recordings; several as a list'),
        })
        .optional()
        .describe('Recordings are encrypted to others, so that this host cannot read them back'),
      witnesses: z
        .strictObject({
          quorum: z.int().min(1, { error: 'one at least' }).optional().describe('All that are listed, where left out'),
          every: duration.optional().describe('10m where left out'),
          list: z
            .array(
              z.strictObject({
                key: z.string().describe("The witness's verifier key: NAME+ID+BASE64, of type 4"),
                url: z.string().describe('Its submission prefix; /add-checkpoint is put behind it'),
              }),
            )
            .min(1, { error: 'name one witness at least' }),
        })
        .optional()
        .describe('Who cosigns checkpoints, so that whoever holds the keys cannot rewrite the ledger unseen'),
      seal: duration.optional().describe('How often the OpenPGP key signs; 1h where left out'),
      rollover: z
        .strictObject({
          every: duration.optional().describe('Since the ledger began'),
          entries: z.int().min(1000, { error: 'entries: a thousand at least' }).optional(),
        })
        .optional()
        .describe('When a process that starts begins the next ledger of the series; never, where left out'),
      retention: duration
        .optional()
        .describe('For how long a ledger is kept after it was concluded, before it may be disposed of'),
    }),
    identity: z.strictObject({
      people: z
        .array(
          z.strictObject({
            oidc: z.string().describe("The issuer's URL"),
            audience: word(256, 'an audience is one printable word'),
            subject: word(64, "a claim's name is one printable word")
              .optional()
              .describe('The claim that names a person; a verified email, else sub, where left out'),
            names: z
              .array(pattern(namePattern, 'not a name: write dba@crm.example, or *@crm.example for all that end so'))
              .min(1, { error: 'an empty list names nobody' })
              .optional()
              .describe('Which people it may name; must be said where there are several issuers, or local keys too'),
          }),
        )
        .optional(),
      agents: file.optional().describe('agents.yaml: how agents are recognised, and who is accountable for them'),
      keys: file.optional().describe('keys.json: local keys, hashed, as `counterfoil credentials issue` writes them'),
      sshKeys: file.optional().describe('SSH public keys, as authorized_keys has them, with the subject as comment'),
    }),
    masking: z
      .strictObject({
        key: secret.describe('32 random bytes, base64url, under which the strategy hash makes its words'),
      })
      .optional(),
    policy: z.strictObject({
      model: z.string().min(1).optional().describe('A Casbin model; `default` for the shipped one'),
      rules: file.describe('Rights and roles: nothing listed, nothing allowed'),
    }),
    listen: z
      .array(
        z.discriminatedUnion('protocol', [postgresListener, sshListener], {
          error: 'not supported by this version: postgres and ssh are',
        }),
      )
      .optional(),
    embedded: z
      .array(target)
      .optional()
      .describe('Names of applications that guard themselves in process, as rules and controls name them'),
    admin: z.strictObject({ address, tls: tls.optional() }).optional(),
    controls: file.describe('controls.yaml: what is promised'),
  })
  .describe('counterfoil.yaml: where things run')

const strategies = ['detect', 'last4', 'partial', 'hash', 'redact', 'null'] as const

export const controlsFile = z
  .array(
    z.strictObject({
      id: pattern(/^[A-Za-z][A-Za-z0-9._-]{0,63}$/, 'not an id: letters, digits, . _ and -, a letter first'),
      title: line(200),
      owner: line(200).optional(),
      criteria: z
        .array(z.string().meta({ enum: [...criteria] }))
        .min(1, { error: 'name one criterion at least' })
        .describe('Trust Services Criteria ids'),
      covers: z.strictObject({
        resource: pattern(
          /^[\x21-\x2b\x2d-\x7e]{1,512}$/,
          'not a resource: write TARGET/..., with * and ** as wildcards',
        ),
        action: z
          .array(pattern(/^[A-Za-z0-9*_-]{1,64}$/, 'not an action: one word'))
          .min(1, { error: 'an empty list covers nothing' })
          .optional(),
        risk: z.enum(['low', 'high'], { error: 'neither low nor high' }).optional(),
      }),
      require: z
        .strictObject({
          grant: z
            .strictObject({
              longest: duration,
              reason: z.enum(['required', 'optional'], { error: 'neither required nor optional' }).optional(),
              from: role.optional(),
            })
            .optional(),
          approval: z
            .strictObject({
              people: z.int().min(1, { error: 'one at least' }).max(16, { error: '16 at most' }).optional(),
              from: role.optional(),
              within: duration.optional().describe('15m where left out'),
              wait: duration.optional().describe('30s where left out'),
            })
            .optional(),
        })
        .optional(),
      mask: z
        .record(
          z.string(),
          z.enum(strategies, { error: `not supported by this version: ${strategies.join(', ')} are` }),
        )
        .optional()
        .describe('A column, a member, a JSON pointer or *, and what is shown instead'),
      patterns: z
        .record(
          pattern(/^[a-z][a-z0-9-]{0,31}$/, 'not a kind: lower case letters, digits and -, a letter first, 32 at most'),
          z.string(),
        )
        .optional()
        .describe("What detect finds beside what it always does: a kind, and a pattern in RE2's syntax"),
      record: z
        .strictObject({
          request: z
            .enum(['digest', 'masked'], { error: 'request: neither digest nor masked' })
            .optional()
            .describe(
              'digest: the action is committed to and disclosed to nobody, but to who must approve it. masked: disclosed; so too where left out',
            ),
          response: z
            .enum(['digest', 'masked'], { error: 'response: neither digest nor masked' })
            .optional()
            .describe(
              'masked: what was shown is kept, encrypted. digest: a commitment to it is; so too where left out',
            ),
        })
        .optional(),
      durability: z.enum(['strict', 'written'], { error: 'neither strict nor written' }).optional(),
      mode: z.enum(['enforce', 'observe'], { error: 'neither enforce nor observe' }).optional(),
      until: date.optional().describe('When observing ends, and enforcing begins: at most 90 days ahead'),
      tests: z
        .union([
          z.literal('auto', { error: 'neither auto nor a list of tests' }),
          z.array(z.strictObject({ population: z.string().min(1), exceptions: z.string().min(1) })).min(1),
        ])
        .optional(),
      effective: z.strictObject({ from: date }).optional(),
      thresholds: z
        .strictObject({
          revocation: duration.describe(
            'Within which what a grant let through must be over, once it ends: 5s where left out',
          ),
        })
        .optional()
        .describe('What its tests hold it to'),
    }),
  )
  .describe('controls.yaml: what is promised')

export const agentsFile = z
  .array(
    z.strictObject({
      id: pattern(/^agent:[a-z0-9][a-z0-9._-]{0,127}$/, 'not an id: write agent:NAME, in lower case'),
      recognise: z.strictObject({
        issuer: z.string(),
        claim: z.enum(['azp', 'client_id', 'sub'], { error: 'none of azp, client_id, sub' }),
        value: word(256, 'one printable word'),
      }),
      owner: z.string().describe('The person accountable for it, as policy names them'),
      model: line(200).optional(),
      purpose: line(500).optional(),
    }),
  )
  .describe('agents.yaml: how agents are recognised, and who is accountable for them')

const publicKey = z.string().describe('TYPE KEY, as ssh-keyscan prints them behind the name')

export const hostsFile = z
  .record(
    pattern(/^[a-z0-9]([a-z0-9.-]{0,126}[a-z0-9])?$/, 'not a host: lower case letters, digits, . and -'),
    z.strictObject({
      address,
      hostKey: z
        .union([publicKey, z.array(publicKey).min(1, { error: 'pin one key at least' })])
        .describe('Its own public key, or keys: any other is refused'),
      logins: z
        .record(
          pattern(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}$/, 'not a login: letters, digits, _ . and -, 32 at most'),
          z.union([secret, z.strictObject({ key: secret, passphrase: secret.optional() })]),
        )
        .describe('The private key of each login, which subjects never see'),
      login: z.string().optional().describe('The login that is meant where a client names the host alone'),
    }),
  )
  .describe('hosts.yaml: the hosts behind an SSH listener')

export type ConfigFile = z.infer<typeof configFile>
export type OwnLedger = Exclude<ConfigFile['ledger'], { gateway: unknown }>
export type RemoteLedger = z.infer<typeof remoteLedger>
export type ControlsFile = z.infer<typeof controlsFile>
export type HostsFile = z.infer<typeof hostsFile>

/** JSON Schema (2020-12), for editors. */
export const schemaOf = (of: z.ZodType): Record<string, unknown> => z.toJSONSchema(of, { io: 'input' })

// Keys that the design names and this version does not know: the writer did not slip, so nothing near is suggested.
export const later: ReadonlySet<string> = new Set([
  ...['anchors', 'rollover', 'keep', 'saml', 'reconcile', 'detect', 'placement', 'console', 'breakGlass'],
])
