import EttinFiles
import EttinModel
import EttinTables
import EttinTraining

/// The labels of tokens.
struct TaggerLabels: Hashable {
    /// Their names by number.
    let names: [String]
    private let classes: ClassifierLabels

    init(names: [String]) {
        self.names = names
        classes = ClassifierLabels(.singleLabelClassification, names: names)
    }

    /// The number of a word's label; nil for -100, which does not count.
    func number(_ value: TableValue) throws(ClassifierLabels.Problem) -> Int32? {
        if case .integer(Int(TaggedText.ignored)) = value { return nil }
        return Int32(try classes.number(value))
    }

    /// The label of a name that a scheme makes.
    func number(named name: String) throws(ClassifierLabels.Problem) -> Int32 {
        Int32(try classes.number(.text(name)))
    }

    /// The label inside of what a label begins: `I-PER` of `B-PER` where there is one, else the same.
    func inside(of number: Int32) -> Int32 {
        let name = names[Int(number)]
        guard name.hasPrefix("B-") else { return number }
        return (try? classes.number(.text("I-" + name.dropFirst(2)))).map(Int32.init) ?? number
    }
}

/// How a table holds tagged texts: words with their labels, or texts with spans.
struct TaggerColumns {
    /// The number of the column of words or texts.
    let text: Int
    /// The number of the column of labels or spans.
    let label: Int
    /// Whether texts are lists of words.
    let areWords: Bool

    /// Finds the columns.
    ///
    /// - Parameters:
    ///   - table: The table.
    ///   - recipe: What the recipe says of columns.
    /// - Throws: `TrainingError` for columns that are not there.
    init(_ table: TableView, _ recipe: TaggerRecipe) throws {
        let names = table.columnNames
        func found(_ given: String?, _ key: String, _ usual: [String], _ what: String) throws -> Int {
            if let given {
                if let column = table.column(given) { return column }
                throw TrainingError(
                    .invalidOption,
                    key,
                    found: "is \(quoted(given, limit: 80)), which \(table.name) does not have",
                    expected: "one of \(listing(names, limit: 12))"
                )
            }
            if let column = usual.lazy.compactMap({ table.column($0) }).first { return column }
            throw TrainingError(
                .missing,
                table.name,
                found: "has no column of \(what) among \(listing(names, limit: 12))",
                expected: "one of \(listing(usual)), or \(key)"
            )
        }
        text = try found(recipe.textColumn, "text_column_name", ["tokens", "words", "text"], "texts")
        let usual = ["ner_tags", "tags", "labels", "spans", "entities"] + names.filter { $0.hasSuffix("_tags") }
        label = try found(recipe.labelColumn, "label_column_name", usual, "labels")
        areWords = table.kind(ofColumn: text) == .list
    }
}

/// Reads rows of tagged texts.
struct TaggerReading {
    let table: TableView
    let columns: TaggerColumns
    let scheme: TaggingScheme
    let labelsAllTokens: Bool
    let keepsEmptyTexts: Bool

    init(_ table: TableView, _ recipe: TaggerRecipe) throws {
        self.table = table
        columns = try TaggerColumns(table, recipe)
        scheme = recipe.scheme
        labelsAllTokens = recipe.labelsAllTokens
        keepsEmptyTexts = recipe.emptyTexts == .keep
    }

    /// A span of a text with its label.
    private struct Span {
        let range: Range<Int>
        let label: String
    }

    /// Reads a row.
    ///
    /// - Parameters:
    ///   - row: The number of the row.
    ///   - labels: The labels.
    /// - Returns: The text with its parts.
    /// - Throws: `TrainingError` naming file and row for what is wrong; what reading throws.
    func text(ofRow row: Int, _ labels: TaggerLabels) throws -> TaggedText {
        let values = try table.values(row: row, columns: [columns.text, columns.label])
        return try columns.areWords
            ? words(values[0], values[1], row: row, labels) : spans(values[0], values[1], row: row, labels)
    }

    private func words(
        _ value: TableValue,
        _ tags: TableValue,
        row: Int,
        _ labels: TaggerLabels
    ) throws -> TaggedText {
        let words = try words(value, row: row)
        let tags = try tagList(tags, row: row)
        guard tags.count == words.count else {
            throw refused(row, columns.label, "has \(tags.count) labels", "\(words.count), one for each word")
        }
        var parts: [TaggedText.Part] = []
        var start = 0
        for (word, tag) in zip(words, tags) {
            let end = start + word.unicodeScalars.count
            let first = try naming(row) { () throws(ClassifierLabels.Problem) in try labels.number(tag) }
            parts.append(
                TaggedText.Part(
                    range: start..<end,
                    first: first,
                    rest: labelsAllTokens ? first.map(labels.inside) : nil
                )
            )
            start = end + 1
        }
        return TaggedText(text: words.joined(separator: " "), parts: parts, outside: nil)
    }

    private func spans(
        _ value: TableValue,
        _ list: TableValue,
        row: Int,
        _ labels: TaggerLabels
    ) throws -> TaggedText {
        guard case .text(let text) = value else {
            throw refused(row, columns.text, "is \(value.kindText)", "a text, or a list of words in every row")
        }
        guard keepsEmptyTexts || !text.isEmpty else {
            throw refused(row, columns.text, "is an empty text", "a text, or empty_texts: keep")
        }
        let length = text.unicodeScalars.count
        var parts: [TaggedText.Part] = []
        for span in try spanList(list, row: row).sorted(by: { $0.range.lowerBound < $1.range.lowerBound }) {
            guard span.range.upperBound <= length else {
                throw refused(
                    row,
                    columns.label,
                    "has a span to character \(span.range.upperBound)",
                    "at most \(length), which the text has"
                )
            }
            guard (parts.last?.range.upperBound ?? 0) <= span.range.lowerBound else {
                throw refused(
                    row,
                    columns.label,
                    "has spans that overlap at character \(span.range.lowerBound)",
                    "spans beside each other"
                )
            }
            let (first, rest) = try naming(row) { () throws(ClassifierLabels.Problem) -> (Int32, Int32) in
                guard scheme == .iob2 else {
                    let label = try labels.number(named: span.label)
                    return (label, label)
                }
                return (try labels.number(named: "B-" + span.label), try labels.number(named: "I-" + span.label))
            }
            parts.append(TaggedText.Part(range: span.range, first: first, rest: rest))
        }
        let outside = try naming(row) { () throws(ClassifierLabels.Problem) in try labels.number(named: "O") }
        return TaggedText(text: text, parts: parts, outside: outside)
    }

    private func words(_ value: TableValue, row: Int) throws -> [String] {
        guard case .list(let values) = value else {
            throw refused(row, columns.text, "is \(value.kindText)", "a list of words, as in other rows")
        }
        let words = try values.map { value -> String in
            guard case .text(let word) = value, keepsEmptyTexts || !word.isEmpty else {
                let found = if case .text = value { "has an empty word" } else { "has \(value.kindText)" }
                throw refused(row, columns.text, found, "words, or empty_texts: keep")
            }
            return word
        }
        guard keepsEmptyTexts || !words.isEmpty else {
            throw refused(row, columns.text, "is an empty list", "words, or empty_texts: keep")
        }
        return words
    }

    private func tagList(_ value: TableValue, row: Int) throws -> [TableValue] {
        guard case .list(let tags) = value else {
            throw refused(row, columns.label, "is \(value.kindText)", "a list with a label for each word")
        }
        return tags
    }

    private func spanList(_ value: TableValue, row: Int) throws -> [Span] {
        guard case .list(let values) = value else {
            throw refused(row, columns.label, "is \(value.kindText)", "a list of spans such as [0, 5, \"PER\"]")
        }
        return try values.map { value in
            guard case .list(let members) = value, members.count == 3, case .integer(let start) = members[0],
                case .integer(let end) = members[1], case .text(let label) = members[2], 0 <= start, start < end,
                !label.isEmpty
            else {
                throw refused(
                    row,
                    columns.label,
                    "has \(value.pythonText.prefix(80))",
                    "spans of first character, end and label, such as [0, 5, \"PER\"]"
                )
            }
            return Span(range: start..<end, label: label)
        }
    }

    private func naming<Result>(
        _ row: Int,
        _ body: () throws(ClassifierLabels.Problem) -> Result
    ) throws -> Result {
        do {
            return try body()
        } catch {
            throw refused(row, columns.label, error.found, error.expected)
        }
    }

    private func refused(_ row: Int, _ column: Int, _ found: String, _ expected: String) -> TrainingError {
        TrainingError(
            .malformed,
            "\(table.place(ofRow: row)) column \(quoted(table.columnNames[column], limit: 80))",
            found: found,
            expected: expected
        )
    }

    // MARK: Labels

    /// Collects the labels of all rows.
    ///
    /// - Parameter survey: What was found before.
    /// - Throws: `TrainingError` naming file and row for what is no list of labels; what reading throws.
    func survey(into survey: inout TaggerSurvey) throws {
        if columns.areWords, let names = table.classNames(ofColumn: columns.label) { survey.classNames = names }
        for row in 0..<table.rowCount {
            let value = try table.value(row: row, column: columns.label)
            guard columns.areWords else {
                for span in try spanList(value, row: row) { survey.spans.insert(Array(span.label.utf8)) }
                continue
            }
            for tag in try tagList(value, row: row) {
                switch tag {
                case .text(let name): survey.names.insert(Array(name.utf8))
                case .integer(Int(TaggedText.ignored)): continue
                case .integer(let number) where (0..<100_000).contains(number):
                    survey.largest = max(survey.largest ?? 0, number)
                default:
                    throw refused(
                        row,
                        columns.label,
                        "has \(tag.pythonText.prefix(80))",
                        "names of labels, or their numbers from 0"
                    )
                }
            }
        }
    }
}

/// The labels of the data to train on, before there is a model.
struct TaggerSurvey {
    fileprivate(set) var names: Set<[UInt8]> = []
    fileprivate(set) var spans: Set<[UInt8]> = []
    fileprivate(set) var largest: Int?
    fileprivate(set) var classNames: [String]?

    /// The labels that the data ask for.
    ///
    /// - Parameter recipe: What the recipe says of labels.
    /// - Returns: The labels, those of names by code points as `run_ner.py` sorts them.
    /// - Throws: `TrainingError` for data whose labels do not go together.
    func requirement(_ recipe: TaggerRecipe) throws -> LabelRequirement {
        if let labels = recipe.labels { return LabelRequirement(names: labels, isExact: true) }
        func sorted(_ names: Set<[UInt8]>) -> [String] {
            names.sorted { $0.lexicographicallyPrecedes($1) }.map { String(decoding: $0, as: UTF8.self) }
        }
        if !names.isEmpty, largest != nil {
            throw TrainingError(
                .invalidOption,
                "the label column",
                found: "has names in some rows and numbers in others",
                expected: "one or the other"
            )
        }
        if !names.isEmpty { return try counted(LabelRequirement(names: sorted(names), isExact: false), recipe) }
        if !spans.isEmpty {
            let types = sorted(spans)
            let tags = recipe.scheme == .iob2 ? types.flatMap { ["B-" + $0, "I-" + $0] } : types.filter { $0 != "O" }
            return try counted(LabelRequirement(names: ["O"] + tags, isExact: false), recipe)
        }
        guard let largest else {
            throw TrainingError(
                .invalidOption,
                "the label column",
                found: "has no label in any row",
                expected: "labels: with their names"
            )
        }
        if let classNames { return try counted(LabelRequirement(names: classNames, isExact: false), recipe) }
        let count = recipe.labelCount
        return LabelRequirement(count: count ?? max(2, largest + 1), isExact: count != nil)
    }

    private func counted(_ requirement: LabelRequirement, _ recipe: TaggerRecipe) throws -> LabelRequirement {
        guard let count = recipe.labelCount, count != requirement.names.count else { return requirement }
        throw TrainingError(
            .invalidOption,
            "num_labels",
            found: "is \(count), but the data has \(LabelRequirement.text(requirement.names)) labels",
            expected: "\(requirement.names.count), or labels: with their names"
        )
    }
}
