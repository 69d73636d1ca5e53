import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import type { Environment } from '@marcbachmann/cel-js'
import { openPatterns } from '#api/schema/crd/pattern.ts'
import { compile, environment, reasonOf } from './environment.ts'

/** Each holds. */
const truths = `
[1, 2, 3].sum() == 6 && [1.5, 2.0].sum() == 3.5
["a", "b"].isSorted() && ![2, 1].isSorted()
[3, 1].min() == 1 && [3, 1].max() == 3
["x", "y", "x"].indexOf("x") == 0 && ["x", "y", "x"].lastIndexOf("x") == 2 && ["x"].indexOf("z") == -1
[1, 1, 2].distinct() == [1, 2] && [2, 1].sort() == [1, 2] && [1, 2, 3].slice(1, 2) == [2]
sets.contains([1, 2], [1]) && sets.equivalent([1, 2], [2, 1, 1]) && !sets.intersects([1], [2])
"abc".matches("^a.c$") && matches("abc", "b") && !"abc".matches("(?i)^B")
"a1b22".find("[0-9]+") == "1" && "a1b22".findAll("[0-9]+") == ["1", "22"] && "a1b22".findAll("[0-9]+", 1) == ["1"]
"a-b-c".replace("-", "+") == "a+b+c" && "a-b-c".replace("-", "+", 1) == "a+b-c"
"abc".charAt(1) == "b" && "abc".substring(1, 2) == "b" && "a,b".split(",") == ["a", "b"] && ["a", "b"].join("-") == "a-b"
"%s is %d, %.2f, %x, %s".format(["x", 3, 1.5, 255, [1, 2]]) == "x is 3, 1.50, ff, [1, 2]"
quantity("1Gi").isGreaterThan(quantity("500Mi")) && quantity("1").add(1) == quantity("2") && !isQuantity("x")
quantity("1500m").sub(quantity("500m")).asInteger() == 1 && quantity("-1").sign() == -1
url("https://example.com:443/a?b=c").getHost() == "example.com:443" && url("https://example.com:443/a?b=c").getPort() == "443"
url("https://example.com/a%20b?b=c&b=d").getQuery()["b"] == ["c", "d"] && url("https://example.com").getEscapedPath() == ""
isURL("/path") && !isURL("../x") && url("/path").getHostname() == ""
cidr("10.0.0.0/8").containsIP("10.1.2.3") && !cidr("10.0.0.0/8").containsIP(ip("11.1.2.3"))
cidr("10.1.2.3/8").masked() == cidr("10.0.0.0/8") && cidr("fd00:1:2::/48").containsCIDR("fd00:1:2:3::/64")
ip("::1").isLoopback() && ip("8.8.8.8").isGlobalUnicast() && ip.isCanonical("::1") && !ip.isCanonical("::0:1") && !isIP("1.2.3")
format.dns1123Label().validate("A").hasValue() && !format.named("labelValue").value().validate("a").hasValue()
semver("1.2.3-rc.1").isLessThan(semver("1.2.3")) && semver("v1.2", true).minor() == 2 && !isSemver("1.2")
has({"a": 1}.a) && !has([{"a": 1}][0].b) && [{"a": 1}].all(x, has(x.a)) && "has(x)" == "has(x)"
optional.none().orValue(2) == 2 && {"a": 1}[?"b"].orValue(3) == 3 && [1][?5].orValue(7) == 7
duration("1h") > duration("30m") && timestamp("2024-01-01T00:00:00Z").getFullYear() == 2024
cel.bind(x, 2, x * x) == 4 && [1, 2].map(x, x * 2) == [2, 4] && {"a": 1}.exists(k, k == "a")
[3, 4].all(i, v, v == i + 3) && {"a": 1}.exists(k, v, k == "a" && v == 1) && [1, 2].existsOne(i, v, v > 1)
[1, 2].transformList(i, v, i + v) == [1, 3] && [1, 2].transformList(i, v, v > 1, v) == [2] && {"a": 1}.transformList(k, v, k) == ["a"]
{"a": 1, "b": 2}.transformMap(k, v, v > 1, v * 2) == {"b": 4} && [[1, 2], [3]].all(i, l, l.all(j, v, v == i * 2 + j + 1))
optional.of(2).optMap(x, x * 2).orValue(0) == 4 && optional.none().optMap(x, x).orValue(7) == 7 && optional.of(1).optFlatMap(x, optional.of(x)).value() == 1
1 < 1.5 && dyn(1) == dyn(1.0) && type(1) == int
`

/** What is wrong with each. */
const faults: Readonly<Record<string, string>> = {
  'nope(1)': "<input>:1:1: found no matching overload for 'nope(int)'",
  '1 + "a"': '<input>:1:1: no such overload: int + string',
  'self.b == 1': "<input>:1:6: undefined field 'b'",
  'has(1)': '<input>:1:5: invalid argument to has() macro',
  '1 &&': '<input>:1:5: Unexpected token: EOF',
}

describe('expressions', () => {
  let base: Environment
  before(async () => {
    base = environment(await openPatterns())
      .registerType('Self', { fields: { a: 'int' } })
      .clone()
      .registerVariable('self', 'Self')
  })

  for (const source of truths.trim().split('\n')) it(source, () => assert.equal(compile(base, source).run({}), true))

  for (const [source, fault] of Object.entries(faults)) {
    it(`refuses ${source}`, () => assert.throws(() => compile(base, source), { message: fault }))
  }

  it('tell what they mention', () => {
    assert.deepEqual([...compile(base, 'self.a > 0 && [1].all(x, x > self.a)').uses], ['self', 'x'])
  })

  it('never hang on a pattern', () => {
    const hostile = compile(base, `"${'a'.repeat(5000)}!".matches("^(a+)+$")`)
    assert.equal(hostile.run({}), false)
    assert.throws(
      () => compile(base, '"a".matches("(")').run({}),
      (error) => reasonOf(error) === 'error parsing regexp: missing closing ): `(`',
    )
  })

  it('may not be too large', () => {
    assert.throws(() => compile(base, `${'('.repeat(500)}1${')'.repeat(500)} == 1`), /Exceeded maxDepth/)
  })
})
