import Testing

@testable import EttinFiles

@Suite("Bounded arithmetic")
struct BoundedArithmeticTests {
    @Test(
        "every number has a nearest integer",
        arguments: [
            (0, 0), (-0.0, 0), (1.9, 1), (-1.9, -1), (.nan, 0), (.infinity, .max), (-.infinity, .min), (0x1p63, .max),
            (-0x1p63, .min), (1e300, .max), (-1e300, .min), (0x1p53, 1 << 53), (.leastNonzeroMagnitude, 0),
        ] as [(Double, Int)]
    )
    func clamping(value: Double, expected: Int) {
        #expect(Int(clamping: value) == expected)
    }

    @Test("a sum stays at the ends of the range")
    func sums() {
        #expect([1, 2, 3].clampedSum() == 6)
        #expect([Int.max, 1].clampedSum() == .max)
        #expect([Int.min, -1].clampedSum() == .min)
        #expect(Array(repeating: Int.largestCount, count: 1000).clampedSum() == 1000 * Int.largestCount)
    }

    @Test("control characters of names are spelled in messages")
    func controls() {
        let text = problemText("a\0.json", item: "\u{1B}[2J", found: "is é\n", expected: "b")
        #expect(text == "a\\u{0}.json: \\u{1b}[2J is é\n; expected b")
    }
}
