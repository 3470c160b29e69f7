import Testing

@testable import Torch

@Suite struct ProcessorLimitTests {
    @Test(arguments: [
        ("max 100000\n", nil), ("200000 100000\n", 2), ("150000 100000", 1), ("50000 100000", 1), ("-1 100000", nil),
        ("400000 100000\n", 4), ("", nil), ("nonsense", nil), ("100000 0", nil),
    ])
    func quotaIsWholeProcessors(text: String, expected: Int?) {
        #expect(ProcessorLimit.processors(version2: text) == expected)
    }

    @Test func noControlGroupIsNoLimit() {
        #expect(ProcessorLimit.quota(root: "/nowhere") == nil)
    }
}
