public import EttinEvaluation

/// A data set of a recipe.
public struct DatasetRecipe: Sendable, Hashable {
    /// A part of the rows for tests.
    public struct Split: Sendable, Hashable {
        /// The number of rows, or the fraction below 1.
        public var testSize: Double
        /// The seed of the permutation.
        public var seed: Int
        /// The first rows, of which it is a part; nil for all.
        public var rows: Int?
    }

    /// The name among several; nil for the only one.
    public var name: String?
    /// Files, folders, or names on the Hub with configuration and split, one after the other.
    public var references: [String]
    /// The columns by position; nil for all in their order.
    public var columns: [String]?
    /// The split, whose test part is to evaluate on; nil for all rows.
    public var split: Split?
    /// The first rows that are taken, after the split; nil for all.
    public var select: Int?

    /// The task of GLUE whose rows they are, and the part of its data; nil for others.
    public var task: Task?

    /// A part of the data of a task of GLUE.
    public struct Task: Sendable, Hashable {
        /// The task.
        public var task: GLUETask
        /// The part.
        public var part: GLUEPart
    }

    /// Names a data set.
    ///
    /// - Parameters:
    ///   - references: Files, folders, or names on the Hub.
    ///   - columns: The columns by position; nil for all in their order.
    public init(_ references: [String], columns: [String]? = nil) {
        self.references = references
        self.columns = columns
    }
}
