import EttinFiles
package import EttinModel
import EttinTables
import EttinTraining

/// What the labels of rows are, and the numbers that the loss reads.
package struct ClassifierLabels: Hashable, Sendable {
    /// What they mean.
    package let problem: ProblemType
    /// Their names by number; of a regression those of the numbers that are predicted.
    package let names: [String]
    private let numbers: [[UInt8]: Int]

    /// Describes labels.
    ///
    /// - Parameters:
    ///   - problem: What they mean.
    ///   - names: Their names by number.
    package init(_ problem: ProblemType, names: [String]) {
        (self.problem, self.names) = (problem, names)
        // Different spellings of a character are different names.
        numbers = Dictionary(names.enumerated().map { (Array($1.utf8), $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// What is wrong with a label, and what is expected.
    struct Problem: Error {
        let found: String
        let expected: String
    }

    /// How many numbers the loss reads of a row.
    package var valueCount: Int { problem == .singleLabelClassification ? 1 : names.count }

    /// The numbers of a label: that of its class, 0 or 1 for each class, or those that are to be predicted.
    ///
    /// - Parameter value: The value of the label column.
    /// - Returns: ``valueCount`` numbers.
    /// - Throws: ``Problem`` for a value that is no label.
    func values(_ value: TableValue) throws(Problem) -> [Double] {
        switch problem {
        case .singleLabelClassification: [Double(try number(value))]
        case .multiLabelClassification: try indicators(value)
        case .regression: try targets(value)
        }
    }

    /// The number of a class.
    func number(_ value: TableValue) throws(Problem) -> Int {
        switch value {
        case .text(let name):
            guard let number = numbers[Array(name.utf8)] else {
                throw Problem(found: "is \(quoted(name, limit: 80))", expected: "a label of the map: \(listing(names))")
            }
            return number
        case .integer(let number): return try checked(number)
        case .boolean(let flag): return try checked(flag ? 1 : 0)
        case .real(let number):
            guard let whole = Int(exactly: number) else {
                throw Problem(found: "is \(number)", expected: classes)
            }
            return try checked(whole)
        case .null, .list: throw Problem(found: "is \(value.kindText)", expected: "the name or the number of one class")
        }
    }

    private var classes: String {
        "a class from 0 to \(names.count - 1); labels: names more, and problem_type: regression predicts numbers"
    }

    private func checked(_ number: Int) throws(Problem) -> Int {
        guard names.indices.contains(number) else { throw Problem(found: "is \(number)", expected: classes) }
        return number
    }

    private func indicators(_ value: TableValue) throws(Problem) -> [Double] {
        guard case .list(let values) = value else {
            throw Problem(found: "is \(value.kindText)", expected: "a list of labels, or of a 0 or 1 for each")
        }
        guard case .text? = values.first else {
            if values.isEmpty { return [Double](repeating: 0, count: names.count) }
            let numbers = try reals(values)
            if let wrong = numbers.first(where: { !(0...1).contains($0) }) {
                throw Problem(found: "has \(wrong)", expected: "numbers from 0 to 1")
            }
            return numbers
        }
        var result = [Double](repeating: 0, count: names.count)
        for value in values {
            guard case .text = value else {
                throw Problem(found: "has \(value.kindText) among names", expected: "names of labels alone")
            }
            result[try number(value)] = 1
        }
        return result
    }

    private func targets(_ value: TableValue) throws(Problem) -> [Double] {
        if case .list(let values) = value { return try reals(values) }
        return try reals([value])
    }

    private func reals(_ values: [TableValue]) throws(Problem) -> [Double] {
        guard values.count == names.count else {
            throw Problem(
                found: "has \(values.count) number\(values.count == 1 ? "" : "s")",
                expected: "\(names.count), one for each label"
            )
        }
        var result: [Double] = []
        for value in values {
            switch value {
            case .integer(let number): result.append(Double(number))
            case .boolean(let flag): result.append(flag ? 1 : 0)
            // Losses compute in float32.
            case .real(let number) where Float(number).isFinite: result.append(number)
            case .real(let number): throw Problem(found: "is \(number)", expected: "a number that float32 holds")
            case .null, .text, .list: throw Problem(found: "is \(value.kindText)", expected: "a number")
            }
        }
        return result
    }
}
