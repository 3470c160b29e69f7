/// How documents are found in inputs, and what happens to those that are not as expected.
public struct ReadingOptions: Hashable, Sendable {
    /// What separates the documents of a text file.
    public enum Splitting: Hashable, Sendable {
        /// Nothing: the file is one document.
        case file
        /// The ends of lines; a carriage return in front belongs to the end.
        case line
        /// A text such as a blank line or `<|endoftext|>`, which belongs to no document.
        case separator(String)
    }

    /// What happens to text that is not UTF-8.
    public enum InvalidTextRule: String, Hashable, Sendable, CaseIterable {
        /// It is an error.
        case refuse
        /// Each ill-formed part becomes U+FFFD.
        case replace
    }

    /// What happens to documents without text.
    public enum EmptyDocumentRule: String, Hashable, Sendable, CaseIterable {
        /// They are errors.
        case refuse
        /// They are left out.
        case skip
        /// They become documents of special tokens alone.
        case keep
    }

    /// The format of all files; nil to go by their names.
    package var format: CorpusInput.Format?
    /// What separates the documents of text files.
    package var splitting: Splitting
    /// The field of JSON Lines, or the column of MDS or Parquet, with the text.
    package var textField: String
    /// The field or column with the document's id; a document without one is named after its place.
    package var idField: String
    /// What happens to text that is not UTF-8.
    package var invalidText: InvalidTextRule
    /// What happens to documents without text.
    package var emptyDocuments: EmptyDocumentRule
    /// Maximum size in bytes of a document, which is held in memory whole.
    package var longestDocumentBytes: Int

    /// Creates options.
    ///
    /// - Parameters:
    ///   - format: The format of all files; nil to go by their names.
    ///   - splitting: What separates the documents of text files.
    ///   - textField: The field or column with the text.
    ///   - idField: The field or column with the document's id.
    ///   - invalidText: What happens to text that is not UTF-8.
    ///   - emptyDocuments: What happens to documents without text.
    ///   - longestDocumentBytes: Maximum size of a document in bytes.
    public init(
        format: CorpusInput.Format? = nil,
        splitting: Splitting = .file,
        textField: String = "text",
        idField: String = "id",
        invalidText: InvalidTextRule = .refuse,
        emptyDocuments: EmptyDocumentRule = .refuse,
        longestDocumentBytes: Int = 64 << 20
    ) {
        self.format = format
        self.splitting = splitting
        self.textField = textField
        self.idField = idField
        self.invalidText = invalidText
        self.emptyDocuments = emptyDocuments
        self.longestDocumentBytes = longestDocumentBytes
    }
}

/// One of several equal parts of a job, for machines that share it.
public struct JobPart: Hashable, Sendable {
    /// The number of the part, from 0.
    package let index: Int
    /// The number of parts.
    package let count: Int

    /// The whole job.
    public static let whole = JobPart(checkedIndex: 0, count: 1)

    /// Names a part.
    ///
    /// - Parameters:
    ///   - index: The number of the part, from 0.
    ///   - count: The number of parts.
    /// - Throws: `CorpusError` when there is no such part.
    public init(index: Int, count: Int) throws {
        guard count > 0, (0..<count).contains(index) else {
            throw CorpusError(
                .invalidOption,
                file: "shard",
                found: "is \(index)/\(count)",
                expected: "a number from 0 below the number of parts"
            )
        }
        self.init(checkedIndex: index, count: count)
    }

    private init(checkedIndex: Int, count: Int) {
        index = checkedIndex
        self.count = count
    }

    /// The positions of `0..<total` that belong to this part; parts follow one another.
    package func range(of total: Int) -> Range<Int> {
        func bound(_ index: Int) -> Int {
            // In 128 bits, because the product of a size in bytes and a number of parts may not fit 64.
            Int(Int128(total) * Int128(index) / Int128(count))
        }
        return bound(index)..<bound(index + 1)
    }
}
