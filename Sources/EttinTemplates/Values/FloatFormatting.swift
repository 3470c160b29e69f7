#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Floats with a number of digits, rounded as C and Python round them.
enum FloatFormatting {
    /// - Parameters:
    ///   - value: The number.
    ///   - type: `f`, `e` or `g`, or one of them in upper case.
    ///   - precision: Digits behind the point; for `g` all digits.
    /// - Returns: The digits, or `nan`, `inf` or `-inf`.
    static func text(_ value: Double, _ type: Unicode.Scalar, _ precision: Int) -> String {
        guard value.isFinite else { return value.isNaN ? "nan" : value < 0 ? "-inf" : "inf" }
        var buffer = [CChar](repeating: 0, count: 400 + min(precision, 100_000))
        let count = withVaList([CInt(clamping: min(precision, 100_000)), value]) {
            vsnprintf(&buffer, buffer.count, "%.*\(type)", $0)
        }
        return String(decoding: buffer.prefix(max(0, Int(count))).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Puts a mark between groups of three digits in front of the point.
    static func grouped(_ digits: String, by mark: Unicode.Scalar) -> String {
        let sign = digits.hasPrefix("-") ? "-" : ""
        let rest = digits.dropFirst(sign.count)
        let whole = rest.prefix { ("0"..."9").contains($0) }
        var result = ""
        for (index, digit) in whole.enumerated() {
            if index > 0, (whole.count - index) % 3 == 0 { result.unicodeScalars.append(mark) }
            result.append(digit)
        }
        return sign + result + rest.dropFirst(whole.count)
    }

    /// Rounds to a number of decimal places, halves of the decimal value to even.
    static func rounded(_ value: Double, places: Int) -> Double {
        guard value.isFinite, places < 400 else { return value }
        guard places < 0 else { return Double(text(value, "f", places)) ?? value }
        let factor = pow(10, Double(min(-places, 400)))
        return factor.isFinite ? (value / factor).rounded(.toNearestOrEven) * factor : 0
    }
}
