import EttinCorpus
import EttinFiles
import TestSupport
import Testing

@Suite("Corpus errors")
struct CorpusErrorTests {
    @Test("A message names file, item, finding and expectation")
    func message() {
        let error = CorpusError(
            .malformed,
            file: "a.jsonl",
            item: "line 3",
            found: "has no \"text\"",
            expected: "a string"
        )
        #expect(error.description == "a.jsonl: line 3 has no \"text\"; expected a string")
        #expect(CorpusError(.missing, file: "b", found: "is not there").description == "b: is not there")
    }

    @Test("File errors keep their file, kind and reason")
    func translation() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("none")
        let error = #expect(throws: CorpusError.self) {
            try CorpusError.translating { try MappedFile(path: path) }
        }
        #expect(error?.kind == .missing)
        #expect(error?.description.hasPrefix("\(path): cannot be opened (") == true)
    }
}
