import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakeNft, inTable, NftError, type Table } from 'nft-js'
import { silent } from '#api/log.ts'
import { openRuleset, type Ruleset } from './ruleset.ts'

const refs = (name: string) => ({ family: 'ip', name }) as const
const never = () => false

/** A part whose table has chains and no more; counts how often it was read. */
const chains = (ruleset: Ruleset, name: string) => {
  const table = inTable(refs(name))
  let reads = 0
  const adopt = ([found]: readonly (Table | undefined)[]) => {
    reads++
    return new Set(found?.chains.map((chain) => chain.name))
  }
  const own = ruleset.own({ tables: [refs(name)], adopt, log: silent })
  return {
    own,
    reads: () => reads,
    want: (wanted: readonly string[]) =>
      own.apply(
        (known) => ({
          commands: wanted.some((chain) => !known.has(chain))
            ? [table.add(), ...wanted.map((chain) => table.addChain({ name: chain }))]
            : [],
          done: () => new Set(wanted),
        }),
        never,
      ),
  }
}

test('a table is read once, whatever the other parts do, and again after a stranger', async () => {
  const nft = fakeNft()
  const ruleset = openRuleset(nft)
  const [a, b] = [chains(ruleset, 'a'), chains(ruleset, 'b')]
  await Promise.all([a.want(['one']), b.want(['one']), a.want(['one', 'two']), b.want(['one']), a.want(['one', 'two'])])
  assert.deepEqual([a.reads(), b.reads(), nft.transactions.length], [1, 1, 3])
  await nft.run([inTable(refs('a')).delete()])
  await a.want(['one', 'two'])
  await b.want(['one'])
  assert.deepEqual([a.reads(), b.reads()], [2, 2])
  assert.match(await nft.dump('ip', 'a'), /chain one .*chain two /s)
})

test('a stranger in between: looked at again', async () => {
  const nft = fakeNft()
  const { run } = nft
  let strangers = 3
  nft.run = async (commands, options) => {
    if (strangers-- > 0) await run([inTable(refs('stranger')).add()])
    return run(commands, options)
  }
  const a = chains(openRuleset(nft), 'a')
  await a.want(['one'])
  assert.equal(a.reads(), 4)
  strangers = 100
  await assert.rejects(a.want(['one', 'two']), { code: 'ERESTART' })
  assert.doesNotMatch(await nft.dump('ip', 'a'), /two/)
})

test('what the kernel refuses is planned without, or thrown with nothing changed', async () => {
  const nft = fakeNft()
  const table = inTable(refs('a'))
  const { own } = chains(openRuleset(nft), 'a')
  let wanted = ['delete me', 'fine']
  const plan = () => ({
    commands: [table.add(), ...wanted.map((name) => (name === 'fine' ? table.addChain({ name }) : table.deleteChain(name)))],
    done: () => new Set(wanted),
  })
  await assert.rejects(own.apply(plan, never), (error) => error instanceof NftError && error.code === 'ENOENT')
  assert.equal(nft.transactions.length, 0)
  await own.apply(plan, (error) => {
    assert.equal(error.detail, 'delete chain ip a delete me')
    wanted = ['fine']
    return true
  })
  assert.match(await nft.dump('ip', 'a'), /chain fine/)
  await own.remove()
  assert.equal(await nft.dump('ip', 'a'), '')
  await own.remove()
})
