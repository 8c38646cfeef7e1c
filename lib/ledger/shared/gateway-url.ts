/** Where a ledger's leader may be found from other hosts, as it is written: `tls://HOST:PORT`, an IPv6 address in brackets. */

/** @returns undefined where it is none. */
export function readGateway(text: string): { readonly host: string; readonly port: number } | undefined {
  const [, host = '', port = ''] = /^tls:\/\/([A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\]):([0-9]{1,5})$/.exec(text) ?? []
  const number = Number(port)
  return host === '' || number < 1 || number > 65_535
    ? undefined
    : { host: host.replace(/^\[(.*)\]$/, '$1'), port: number }
}
