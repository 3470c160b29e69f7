import EttinEvaluation
import Testing

@Suite struct EvaluationPlaceTests {
    @Test func outsideOfTrainingIsMinusOne() {
        #expect(EvaluationPlace().epoch == -1 && EvaluationPlace().step == -1)
    }
}
