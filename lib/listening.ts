/** A server of node's that listens: started with its error heard, and told where it is. */
import type { AddressInfo, Server } from 'node:net'

/** @param port 0 for any that is free. @throws what the server says of an address that it cannot listen on */
export function listenOn(server: Server, port: number, host: string): Promise<{ readonly port: number }> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve({ port: (server.address() as AddressInfo).port })
    })
  })
}

/** Undefined before it listens, and after. */
export function whereIs(server: Server): { readonly host: string; readonly port: number } | undefined {
  const address = server.address() as AddressInfo | null
  return address === null ? undefined : { host: address.address, port: address.port }
}
