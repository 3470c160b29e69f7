/// What is wrong with bytes of a Parquet file, before anybody says which file and column they belong to.
struct ParquetFailure: Error {
    let kind: CorpusError.Kind
    let found: String
    let expected: String?

    init(_ found: String, expected: String? = nil) {
        self.init(.malformed, found, expected: expected)
    }

    init(_ kind: CorpusError.Kind, _ found: String, expected: String? = nil) {
        self.kind = kind
        self.found = found
        self.expected = expected
    }

    /// Calls `body` and throws its failures, and those of decompression, as errors of a place in a file.
    static func naming<Result>(_ file: String, _ item: String?, _ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let failure as ParquetFailure {
            throw CorpusError(failure.kind, file: file, item: item, found: failure.found, expected: failure.expected)
        } catch let error as CorpusError where error.item == nil {
            throw CorpusError(error.kind, file: file, item: item, found: error.found, expected: error.expected)
        }
    }
}
