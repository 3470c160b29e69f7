#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Numbers as people read them.
enum PlanNumber {
    /// A whole number with a comma after every three digits.
    static func grouped(_ value: Int) -> String {
        let digits = Array(String(value.magnitude))
        var result = value < 0 ? "-" : ""
        for (place, digit) in digits.enumerated() {
            if place > 0, (digits.count - place) % 3 == 0 { result += "," }
            result.append(digit)
        }
        return result
    }

    /// A number in four significant digits, without zeros at the end.
    static func significant(_ value: Double) -> String {
        guard value != 0, value.isFinite else { return value == 0 ? "0" : "\(value)" }
        var exponent = Int(log10(value.magnitude).rounded(.down))
        var mantissa = Int((value.magnitude / pow(10, Double(exponent - 3))).rounded())
        if mantissa >= 10_000 { (mantissa, exponent) = (mantissa / 10, exponent + 1) }
        var digits = Array(String(mantissa))
        while digits.count > 1, digits.last == "0" { digits.removeLast() }
        let sign = value < 0 ? "-" : ""
        func text(_ digits: some Sequence<Character>) -> String { String(digits) }
        if exponent < -4 || exponent >= 6 {
            return sign + text(digits.prefix(1)) + (digits.count > 1 ? "." + text(digits.dropFirst()) : "")
                + "e\(exponent)"
        }
        if exponent < 0 { return sign + "0." + String(repeating: "0", count: -exponent - 1) + text(digits) }
        if digits.count <= exponent + 1 {
            return sign + text(digits) + String(repeating: "0", count: exponent + 1 - digits.count)
        }
        return sign + text(digits.prefix(exponent + 1)) + "." + text(digits.dropFirst(exponent + 1))
    }

    /// A large count in thousands, millions, billions or trillions.
    static func short(_ value: Double) -> String {
        for (factor, unit) in [(1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")] where value >= factor {
            return significant(value / factor) + unit
        }
        return significant(value)
    }

    /// A size in binary units.
    static func bytes(_ value: Double) -> String {
        for (factor, unit) in [(0x1p40, "TiB"), (0x1p30, "GiB"), (0x1p20, "MiB"), (0x1p10, "KiB")] where value >= factor
        {
            return significant(value / factor) + " " + unit
        }
        return "\(Int(value)) bytes"
    }
}
