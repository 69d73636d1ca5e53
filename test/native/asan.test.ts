import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { globSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

const native = join(import.meta.dirname, '../../native')

/** Every report that a sanitizer wrote, each about one process. */
const runUnderAsan = (logs: string, ...tests: string[]) => {
  const env = {
    ...process.env,
    NFT_JS_ADDON: join(native, 'build/asan/nft.node'),
    LD_PRELOAD: execFileSync(process.env.CXX ?? 'g++', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).trim(),
    ASAN_OPTIONS: `log_path=${join(logs, 'log')}:detect_leaks=1:handle_abort=1`,
    UBSAN_OPTIONS: 'print_stacktrace=1',
    // Node leaks at its end, and so do some of the programs that the tests start: the reports tell whose it is.
    LSAN_OPTIONS: 'exitcode=0',
    NODE_TEST_CONTEXT: undefined,
  }
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--test', '--test-isolation=none', ...tests], { env, encoding: 'utf8' })
  return { status, output: stdout + stderr, reports: readdirSync(logs).map((name) => readFileSync(join(logs, name), 'utf8')) }
}

/** Leaks of the addon: memory that it allocated, or references and work of Node's that it must give back. */
const ownLeaks = (report: string): string[] =>
  report
    .split(/\n(?=(?:Direct|Indirect) leak)/)
    .slice(1)
    .filter((leak) => {
      const [, by = '', caller = ''] = leak.split('\n').filter((line) => /^ +#\d/.test(line))
      const isOurs = (frame: string) => / src\/|nft\.node/.test(frame)
      return isOurs(by) || (/napi_create_(?:reference|async_work)/.test(by) && isOurs(caller))
    })

test('the addon under AddressSanitizer: no bad access, no undefined behaviour, no leak of its own', (t) => {
  execFileSync('make', ['-s', '-C', native, 'asan'], { stdio: 'inherit' })
  const logs = mkdtempSync(join(tmpdir(), 'asan-'))
  t.after(() => rmSync(logs, { recursive: true }))
  const tests = globSync(['*.test.ts', 'netlink/*.test.ts', 'rtnetlink/*.test.ts', 'conntrack/*.test.ts', 'nftables/nft.test.ts'], {
    cwd: native,
  })
  const { status, output, reports } = runUnderAsan(logs, ...tests.map((name) => join(native, name)))
  assert.equal(status, 0, output)
  for (const report of reports) {
    assert.doesNotMatch(report, /ERROR: AddressSanitizer|runtime error:/)
    assert.deepEqual(ownLeaks(report), [])
  }
  // It was in the process, or there would be no word of Node's own.
  assert(reports.some((report) => report.includes('LeakSanitizer')))
})
