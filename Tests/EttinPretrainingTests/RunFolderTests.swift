import EttinPretraining
import Testing

@Suite("Run folder")
struct RunFolderTests {
    @Test("a run's files lie in its folder")
    func names() {
        let run = RunFolder("runs/encoder")
        #expect(run.metrics == "runs/encoder/metrics.jsonl")
        #expect(run.ledger == "runs/encoder/ledger.jsonl")
    }
}
