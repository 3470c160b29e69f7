/// A JSON number that keeps the digits it was written with.
///
/// JSON numbers have no size limit and real files use that: `tokenizer_config.json` writes `10^30` as 31 digits. The
/// spelling is therefore the value, and `int` and `double` are views of it. Two numbers are equal when their spellings
/// are equal, so `1` and `1.0` differ, as an `int` and a `float` do for the reader of the file.
public struct JSONNumber: Sendable, Hashable {
    /// The number exactly as written, for example `1e-5` or `1000000000000000019884624838656`.
    ///
    /// It follows the JSON grammar, or is one of `NaN`, `Infinity` and `-Infinity`.
    public let spelling: String

    /// Wraps a spelling that the parser has already checked.
    init(checkedSpelling: String) {
        spelling = checkedSpelling
    }

    /// Creates an integer.
    ///
    /// - Parameter value: The value; it is spelled in decimal.
    public init(_ value: some BinaryInteger) {
        spelling = String(value)
    }

    /// Creates a floating-point number spelled as Python's `repr` spells it, for example `1e-05` or `0.1`.
    ///
    /// - Parameter value: The value; non-finite values are spelled `NaN`, `Infinity` and `-Infinity`.
    public init(_ value: Double) {
        spelling = pythonSpelling(of: value)
    }

    /// Creates a floating-point number with the fewest digits that read back as the same `Float`.
    ///
    /// - Parameter value: The value; non-finite values are spelled `NaN`, `Infinity` and `-Infinity`.
    public init(_ value: Float) {
        spelling = value.isFinite ? value.description : pythonSpelling(of: Double(value))
    }

    /// Creates a number from its spelling, or nil when that is not a number in JSON syntax.
    ///
    /// - Parameter spelling: A number in JSON syntax.
    package init?(spelling: String) {
        guard (try? JSONValue(parsing: spelling)) == .number(JSONNumber(checkedSpelling: spelling)) else { return nil }
        self.spelling = spelling
    }

    /// The value, when it is written as an integer (no fraction, no exponent) and fits.
    public var int: Int? {
        Int(spelling)
    }

    /// The nearest double; beyond the range of doubles it is infinite.
    public var double: Double {
        switch spelling {
        case "NaN": .nan
        case "Infinity": .infinity
        case "-Infinity": -.infinity
        default: Double(spelling) ?? .nan
        }
    }

    /// Whether the number is finite, which is all that standard JSON can say.
    package var isFinite: Bool {
        switch spelling {
        case "NaN", "Infinity", "-Infinity": false
        default: true
        }
    }

    /// Whether the number is written as an integer, of any size.
    package var isIntegral: Bool {
        spelling.utf8.allSatisfy { $0 == UInt8(ascii: "-") || ($0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9")) }
    }
}

/// Spells a double as Python's `repr` and `json.dumps` do.
///
/// Both languages print the shortest digits that read back as the same double; they differ in where they switch to an
/// exponent. Python uses one below `1e-4` and from `1e16` on, with at least two exponent digits.
func pythonSpelling(of value: Double) -> String {
    guard value.isFinite else {
        return value.isNaN ? "NaN" : (value < 0 ? "-Infinity" : "Infinity")
    }
    // Digits d1 d2 d3 … and the power of ten of d1, taken apart from Swift's own shortest spelling.
    var digits: [UInt8] = []
    var integerDigits = 0
    var exponent = 0
    var exponentIsNegative = false
    var seenPoint = false
    var seenExponent = false
    for byte in value.magnitude.description.utf8 {
        switch byte {
        case UInt8(ascii: "."): seenPoint = true
        case UInt8(ascii: "e"): seenExponent = true
        case UInt8(ascii: "-"): exponentIsNegative = true
        case UInt8(ascii: "0")...UInt8(ascii: "9"):
            if seenExponent {
                exponent = exponent * 10 + Int(byte - UInt8(ascii: "0"))
            } else {
                digits.append(byte)
                if !seenPoint { integerDigits += 1 }
            }
        default: break
        }
    }
    var leading = integerDigits - 1 + (exponentIsNegative ? -exponent : exponent)
    let zeros = digits.prefix { $0 == UInt8(ascii: "0") }.count
    let sign = value.sign == .minus ? "-" : ""
    guard zeros < digits.count else { return sign + "0.0" }
    digits.removeFirst(zeros)
    leading -= zeros
    while digits.count > 1, digits.last == UInt8(ascii: "0") { digits.removeLast() }

    func text(_ part: some Sequence<UInt8>) -> String { String(decoding: Array(part), as: UTF8.self) }
    if leading < -4 || leading >= 16 {
        let fraction = digits.count > 1 ? "." + text(digits.dropFirst()) : ""
        let power = String(leading.magnitude)
        return sign + text(digits.prefix(1)) + fraction + "e" + (leading < 0 ? "-" : "+")
            + (power.utf8.count < 2 ? "0" : "") + power
    }
    if leading < 0 {
        return sign + "0." + String(repeating: "0", count: -leading - 1) + text(digits)
    }
    if digits.count <= leading + 1 {
        return sign + text(digits) + String(repeating: "0", count: leading + 1 - digits.count) + ".0"
    }
    return sign + text(digits.prefix(leading + 1)) + "." + text(digits.dropFirst(leading + 1))
}
