import EttinTables
import Testing

@Suite struct TableValueTests {
    @Test func numbersOfOneKindCompare() {
        #expect(TableValue.integer(1) != .real(1))
    }
}
