// nf_tables: what others use of it. Rules are written with `nft-js/nftables/statement.ts`.

export { type Command as NftCommand, inTable } from './command.ts'
export { Elements } from './elements.ts'
export { chainOfVerdict, describe as describeExpression } from './expression.ts'
export { type FakeNft, fakeNft } from './fake.ts'
export type { FlowtableSpec } from './flowtable.ts'
export { openNft } from './kernel.ts'
export { type Nft, NftError } from './nft.ts'
export type { ObjectKind, ObjectSpec } from './object.ts'
export type { Selector } from './selector.ts'
export { type Chain, type ChainSpec, type RuleSpec, type SetSpec, type Table, type TableRef, type Verdict } from './table.ts'
export { tableText } from './table-text.ts'
export type { NftChange, NftNotification } from './watch.ts'
