import EttinFineTuning
import Testing

@Suite struct LossLabelsTests {
    @Test func kindsAreTold() {
        #expect(LossLabels(.list(count: 2), [1, 2]).kind != .integer)
    }
}
