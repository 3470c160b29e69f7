import EttinFiles
import EttinModel
import EttinTables
import EttinTraining

/// What the labels of the data to train on are, before there is a model.
struct LabelSurvey {
    /// Most names that a classifier is made for.
    private static let largestCount = 100_000

    private var names: Set<[UInt8]> = []
    private var largestNumber: Int?
    private var smallestNumber: Int?
    private var hasReals = false
    private var width: Int?
    private var hasLists = false
    private var hasNamedLists = false
    /// The names that the data have for their numbers (`ClassLabel`).
    private var classNames: [String]?

    /// Looks at the labels of a table.
    ///
    /// - Parameters:
    ///   - table: The table.
    ///   - column: The number of the label column.
    /// - Throws: `TrainingError` naming file and row for labels that do not go together; what reading throws.
    mutating func add(_ table: TableView, column: Int) throws {
        if let own = table.classNames(ofColumn: column) { classNames = own }
        for row in 0..<table.rowCount {
            let value = try table.value(row: row, column: column)
            do {
                try add(value)
            } catch let problem as ClassifierLabels.Problem {
                throw TrainingError(
                    .malformed,
                    "\(table.place(ofRow: row)) column \(quoted(table.columnNames[column], limit: 80))",
                    found: problem.found,
                    expected: problem.expected
                )
            }
        }
    }

    private mutating func add(_ value: TableValue) throws {
        switch value {
        case .text(let name): try add(name)
        case .integer(let number): add(number)
        case .boolean(let flag): add(flag ? 1 : 0)
        case .real(let number):
            hasReals = true
            if let whole = Int(exactly: number) { add(whole) }
        case .list(let values):
            hasLists = true
            if case .text? = values.first {
                hasNamedLists = true
                for case .text(let name) in values { try add(name) }
            } else if !values.isEmpty {
                width = width ?? values.count
                guard values.count == width else {
                    throw ClassifierLabels.Problem(
                        found: "is a list of \(values.count) values",
                        expected: "\(width ?? 0), as in rows before"
                    )
                }
            }
        case .null: throw ClassifierLabels.Problem(found: "is null", expected: "a label")
        }
    }

    private mutating func add(_ name: String) throws {
        names.insert(Array(name.utf8))
        guard names.count > Self.largestCount else { return }
        throw ClassifierLabels.Problem(
            found: "is one of more than \(Self.largestCount) different texts",
            expected: "a column of labels, which label_column_name names"
        )
    }

    private mutating func add(_ number: Int) {
        largestNumber = max(largestNumber ?? number, number)
        smallestNumber = min(smallestNumber ?? number, number)
    }

    /// What the labels mean.
    ///
    /// > Source: transformers 5.23, `ModernBertForSequenceClassification.forward`, where the configuration names no
    /// > `problem_type`: one number is a regression, whole numbers are classes, everything else is several labels. Names
    /// > and numbers with a fraction are told apart here, as `run_glue.py` does by the type of the column.
    ///
    /// - Parameters:
    ///   - stated: What the recipe says; nil for nothing.
    ///   - labelCount: The number of labels that it asks for; nil for none.
    /// - Returns: The kind of problem.
    func problem(_ stated: ProblemType?, labelCount: Int?) -> ProblemType {
        if let stated { return stated }
        if hasLists { return .multiLabelClassification }
        if labelCount == 1 || (hasReals && names.isEmpty) { return .regression }
        return .singleLabelClassification
    }

    /// The labels that the data ask for.
    ///
    /// - Parameters:
    ///   - problem: What the labels mean.
    ///   - stated: The names that the recipe gives; nil for none.
    ///   - labelCount: The number that it gives; nil for none.
    /// - Returns: The labels.
    /// - Throws: `TrainingError` for labels that the problem cannot have.
    func requirement(_ problem: ProblemType, stated: [String]?, labelCount: Int?) throws -> LabelRequirement {
        if let stated { return LabelRequirement(names: stated, isExact: true) }
        if problem == .regression { return LabelRequirement(count: labelCount ?? width ?? 1, isExact: true) }
        if !names.isEmpty {
            guard largestNumber == nil, !hasReals, !hasLists || hasNamedLists else {
                throw unsuitable("has names in some rows and numbers in others", "one or the other")
            }
            // By code points, as Python sorts.
            let sorted = names.sorted { $0.lexicographicallyPrecedes($1) }.map { String(decoding: $0, as: UTF8.self) }
            guard labelCount == nil || labelCount == sorted.count else {
                throw TrainingError(
                    .invalidOption,
                    "num_labels",
                    found: "is \(labelCount ?? 0), but the data has \(LabelRequirement.text(sorted)) labels",
                    expected: "\(sorted.count), or labels: with their names"
                )
            }
            guard problem == .multiLabelClassification || sorted.count > 1 else {
                throw unsuitable(
                    "has one label alone, \(quoted(sorted[0]))",
                    "two or more, or labels: with their names"
                )
            }
            return LabelRequirement(names: sorted, isExact: false)
        }
        if problem == .multiLabelClassification {
            guard let count = labelCount ?? width else {
                throw unsuitable("has no label in any row", "labels: with their names, or num_labels")
            }
            return LabelRequirement(count: count, isExact: true)
        }
        if let least = smallestNumber, least < 0 {
            throw unsuitable("has the number \(least)", "classes from 0; rows without a label cannot be trained on")
        }
        if let classNames, labelCount == nil || labelCount == classNames.count {
            return LabelRequirement(names: classNames, isExact: false)
        }
        let found = (largestNumber ?? 0) + 1
        guard found <= Self.largestCount else {
            throw unsuitable("has the number \(found - 1)", "classes from 0 to \(Self.largestCount - 1)")
        }
        return LabelRequirement(count: labelCount ?? max(2, found), isExact: labelCount != nil)
    }

    private func unsuitable(_ found: String, _ expected: String) -> TrainingError {
        TrainingError(.invalidOption, "the label column", found: found, expected: expected)
    }
}
