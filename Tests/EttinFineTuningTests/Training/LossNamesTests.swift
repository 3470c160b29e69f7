import Testing

@testable import EttinFineTuning

@Suite struct LossNamesTests {
    @Test func wrappedLossesAreToldFromThoseOfOtherData() {
        let names = LossNames([["MatryoshkaLoss", "CoSENTLoss"], ["TripletLoss"], ["TripletLoss"], ["CoSENTLoss"]])
        #expect(names.text == "MatryoshkaLoss of CoSENTLoss, TripletLoss, CoSENTLoss")
        #expect(names.all == ["MatryoshkaLoss", "CoSENTLoss", "TripletLoss"])
        #expect(LossNames([["MSELoss"]]).text == "MSELoss")
    }
}
