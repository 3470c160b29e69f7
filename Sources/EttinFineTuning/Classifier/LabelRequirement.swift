import EttinFiles

/// The labels that data and recipe ask of a model.
package struct LabelRequirement: Hashable, Sendable {
    /// The names in the order of their numbers; `LABEL_0` and so on where there are only numbers.
    package let names: [String]
    /// Whether the names are the data's or the recipe's own.
    package let areNamed: Bool
    /// Whether the model must have these labels and no others: the data may lack a class that the model has.
    package let isExact: Bool

    /// Asks for names.
    ///
    /// - Parameters:
    ///   - names: The names in the order of their numbers.
    ///   - isExact: Whether the model must have no others.
    package init(names: [String], isExact: Bool) { (self.names, areNamed, self.isExact) = (names, true, isExact) }

    /// Asks for numbers.
    ///
    /// - Parameters:
    ///   - count: How many.
    ///   - isExact: Whether the model must have no more.
    package init(count: Int, isExact: Bool) {
        (names, areNamed, self.isExact) = (Self.generic(count), false, isExact)
    }

    /// The names that transformers gives labels without one.
    package static func generic(_ count: Int) -> [String] { (0..<count).map { "LABEL_\($0)" } }

    /// The labels of a model that has some already.
    ///
    /// - Parameters:
    ///   - present: The labels of the model.
    ///   - mustEqual: Whether a model with more labels than the data needs another classifier, too.
    /// - Returns: What the model's labels are called; nil where it needs another classifier.
    func labels(ofModel present: [String], mustEqual: Bool) -> [String]? {
        let isExact = isExact || (mustEqual && names.count != present.count)
        guard areNamed else {
            let fits = isExact ? names.count == present.count : names.count <= present.count
            return fits ? present : nil
        }
        let known = Set(present.map { Array($0.utf8) })
        if !isExact, names.allSatisfy({ known.contains(Array($0.utf8)) }) { return present }
        guard names.count == present.count else { return nil }
        return present == Self.generic(present.count) || present == names ? names : nil
    }

    /// The labels for messages, such as `2 ("no" and "yes")`.
    static func text(_ names: [String]) -> String {
        names == generic(names.count) ? "\(names.count)" : "\(names.count) (\(listing(names)))"
    }
}
