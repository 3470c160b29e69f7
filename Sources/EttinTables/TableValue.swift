/// A value of a table.
public enum TableValue: Hashable, Sendable {
    /// Nothing.
    case null
    /// A text.
    case text(String)
    /// A whole number; also that of a class whose name the table knows.
    case integer(Int)
    /// A number with a fraction.
    case real(Double)
    /// True or false.
    case boolean(Bool)
    /// Several values, such as the scores of several texts.
    case list([TableValue])
}
