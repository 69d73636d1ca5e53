// System calls of a real container, by a program that makes them: what the filter refuses is refused by it
// alone, since the same program without a filter is let through.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { needsContainers, run, testRuntime } from '../testing.ts'
import { defaultFilter, type SeccompChoice } from './profile.ts'

const source = `
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
static void tell(const char* name, long result) { printf("%s=%s ", name, result >= 0 ? "ok" : errno == EPERM ? "EPERM" : errno == ENOSYS ? "ENOSYS" : "other"); fflush(stdout); }
int main(void) {
  tell("keyctl", syscall(SYS_keyctl, 0, -3, 1));
  tell("io_uring_setup", syscall(SYS_io_uring_setup, 0, 0));
  tell("personality", personality(ADDR_NO_RANDOMIZE));
  tell("vsock", socket(40, SOCK_STREAM, 0));
  tell("clone3", syscall(SYS_clone3, 0, 0));
  long child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
  if (child == 0) _exit(0);
  tell("clone", child);
  tell("fork", fork() ? 1 : (_exit(0), 0));
  tell("mount", mount("none", "/tmp", "tmpfs", 0, 0));
  tell("unshare", unshare(CLONE_NEWUSER));
  tell("getpid", getpid());
  return 0;
}`

const filterOf = async (t: TestContext, change: { seccomp?: SeccompChoice; capabilities?: { add: string[]; drop: string[] } }) => {
  const { runtime, spec, layer, dir } = await testRuntime(t)
  writeFileSync(join(dir, 'calls.c'), source)
  execFileSync('cc', ['-static', '-O1', '-o', join(layer, 'bin/calls'), join(dir, 'calls.c')])
  const one = spec(change)
  await runtime.start(one)
  const { out } = await run(runtime, one.id, ['sh', '-c', 'grep Seccomp: /proc/self/status; calls'])
  return { out, dir, runtime, spec }
}

test('the default filter refuses new namespaces, keyrings and rings, and nothing that programs need', {
  skip: needsContainers,
}, async (t) => {
  const { out } = await filterOf(t, { seccomp: { type: 'RuntimeDefault' } })
  assert.equal(
    out.trim(),
    'Seccomp:\t2\nkeyctl=EPERM io_uring_setup=EPERM personality=EPERM vsock=EPERM clone3=ENOSYS clone=EPERM fork=ok mount=EPERM unshare=EPERM getpid=ok',
  )
})

test('a container without one may do what the kernel lets it', { skip: needsContainers }, async (t) => {
  const { out } = await filterOf(t, {})
  assert.match(out, /Seccomp:\t0\nkeyctl=ok .*personality=ok .*clone=ok .*unshare=ok/)
})

test('a capability brings the calls that it is for', { skip: needsContainers }, async (t) => {
  const { out } = await filterOf(t, { seccomp: { type: 'RuntimeDefault' }, capabilities: { add: ['SYS_ADMIN'], drop: [] } })
  assert.match(out, /Seccomp:\t2\nkeyctl=EPERM .* mount=ok unshare=ok/)
  const calls = (names: string[]) => defaultFilter(names).syscalls!.flatMap((rule) => (rule.action === 'SCMP_ACT_ALLOW' ? rule.names : []))
  assert(!calls([]).includes('bpf') && calls(['CAP_BPF']).includes('bpf'))
})

test("a profile of the node's own", { skip: needsContainers }, async (t) => {
  const { dir, runtime, spec } = await testRuntime(t)
  const profile = (name: string, text: string): SeccompChoice => {
    writeFileSync(join(dir, name), text)
    return { type: 'Localhost', path: join(dir, name) }
  }
  const noLinks = { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 95 }] }
  const one = spec({ seccomp: profile('no-folders.json', JSON.stringify(noLinks)) })
  await runtime.start(one)
  assert.match((await run(runtime, one.id, ['busybox', 'mkdir', '/tmp/x'])).err, /not supported/)
  const missing = {
    name: 'RuntimeError',
    reason: 'CreateContainerError',
    message: /^cannot load seccomp profile ".*\/none.json": no such file$/,
  }
  await assert.rejects(runtime.start(spec({ seccomp: { type: 'Localhost', path: join(dir, 'none.json') } })), missing)
  await assert.rejects(runtime.start(spec({ seccomp: profile('bad.json', '{') })), /it is not JSON/)
  await assert.rejects(runtime.start(spec({ seccomp: profile('empty.json', '{}') })), /it has no defaultAction/)
  await assert.rejects(runtime.start(spec({ seccomp: profile('odd.json', '{"defaultAction":"SCMP_ACT_PRAY"}') })), /SCMP_ACT_PRAY/)
})
