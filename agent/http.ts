// node:http, for what goes without TLS. An `import` of it reads every name that it exports, one of which
// is `WebSocket`: that loads Node's whole fetch, three megabytes that no agent needs.

const http = process.getBuiltinModule('node:http')

export const HttpAgent = http.Agent
export const httpRequest = http.request
export const createHttpServer = http.createServer
