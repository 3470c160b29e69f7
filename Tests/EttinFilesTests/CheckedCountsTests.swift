import EttinFiles
import Testing

@Suite("Checked counts")
struct CheckedCountsTests {
    @Test("What does not fit is nil")
    func limits() {
        #expect(1.adding(checked: 2) == 3)
        #expect(Int.max.adding(checked: 1) == nil)
        #expect(Int.min.adding(checked: -1) == nil)
        #expect((1 << 31).multiplied(checked: 1 << 31) == 1 << 62)
        #expect((1 << 32).multiplied(checked: 1 << 31) == nil)
        #expect([Int]().checkedSum() == 0)
        #expect([1, 2, 3].checkedSum() == 6)
        #expect([Int.max, 1, -1].checkedSum() == nil)
    }
}
