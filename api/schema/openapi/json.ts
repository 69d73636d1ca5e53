// Pieces of OpenAPI documents, as plain data.

export type Json = Record<string, unknown>
