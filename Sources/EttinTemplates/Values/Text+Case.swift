// Upper and lower case, and what kinds of characters there are.

extension Text {
    /// The result of a method that changes case; nil for another method.
    func recased(_ method: String) -> Text? {
        switch method {
        case "upper": uppercased
        case "lower": lowercased
        case "casefold": Text(scalars.map { Self.folded($0) }.joined())
        case "capitalize": capitalized
        case "title": titled
        case "swapcase":
            Text(
                scalars.map { scalar in
                    scalar.properties.isLowercase
                        ? scalar.properties.uppercaseMapping
                        : scalar.properties.isUppercase ? scalar.properties.lowercaseMapping : String(scalar)
                }.joined()
            )
        default: nil
        }
    }

    private static func folded(_ scalar: Unicode.Scalar) -> String {
        scalar == "ß" || scalar == "ẞ" ? "ss" : scalar.properties.lowercaseMapping
    }

    var uppercased: Text {
        guard !isASCII else {
            return Text(bytes: bytes.map { $0 >= UInt8(ascii: "a") && $0 <= UInt8(ascii: "z") ? $0 - 32 : $0 })
        }
        return Text(scalars.map(\.properties.uppercaseMapping).joined())
    }

    var lowercased: Text {
        guard !isASCII else {
            return Text(bytes: bytes.map { $0 >= UInt8(ascii: "A") && $0 <= UInt8(ascii: "Z") ? $0 + 32 : $0 })
        }
        // Together, as a final sigma depends on what stands before it.
        return Text(string.lowercased())
    }

    /// The first character in title case, the others in lower case.
    var capitalized: Text {
        guard let first = scalars.first else { return self }
        return Text(first.properties.titlecaseMapping) + Text(scalars.dropFirst()).lowercased
    }

    /// `title`: the first letter of every run of letters.
    var titled: Text {
        var result = ""
        var isInside = false
        for scalar in scalars {
            let properties = scalar.properties
            result += isInside ? properties.lowercaseMapping : properties.titlecaseMapping
            isInside = properties.isCased
        }
        return Text(result)
    }

    /// The answer of a method that asks for the kind of characters; nil for another method.
    func passes(_ method: String) -> Bool? {
        func all(_ test: (Unicode.Scalar) -> Bool) -> Bool { !isEmpty && scalars.allSatisfy(test) }
        return switch method {
        case "isascii": isASCII
        case "isspace": all(\.isPythonSpace)
        case "isalpha": all(\.isLetter)
        case "isdigit": all { $0.properties.numericType == .decimal || $0.properties.numericType == .digit }
        case "isdecimal": all { $0.properties.numericType == .decimal }
        case "isnumeric": all { $0.properties.numericType != nil }
        case "isalnum": all { $0.isLetter || $0.properties.numericType != nil }
        case "isprintable": scalars.allSatisfy(\.isPythonPrintable)
        case "islower": isCased(in: \.isLowercase, not: \.isUppercase)
        case "isupper": isCased(in: \.isUppercase, not: \.isLowercase)
        case "istitle": isTitled
        default: nil
        }
    }

    private func isCased(
        in wanted: KeyPath<Unicode.Scalar.Properties, Bool>,
        not other: KeyPath<Unicode.Scalar.Properties, Bool>
    ) -> Bool {
        var isFound = false
        for scalar in scalars {
            let properties = scalar.properties
            if properties[keyPath: other] || properties.generalCategory == .titlecaseLetter { return false }
            if properties[keyPath: wanted] { isFound = true }
        }
        return isFound
    }

    private var isTitled: Bool {
        var (isFound, isInside) = (false, false)
        for scalar in scalars {
            let properties = scalar.properties
            if properties.isUppercase || properties.generalCategory == .titlecaseLetter {
                if isInside { return false }
                (isFound, isInside) = (true, true)
            } else if properties.isLowercase {
                if !isInside { return false }
                isFound = true
            } else {
                isInside = false
            }
        }
        return isFound
    }
}

extension Unicode.Scalar {
    /// A letter as Python's `str.isalpha` has it.
    var isLetter: Bool {
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
        default: false
        }
    }

    /// Whether the character belongs to a word of a regular expression.
    var isWordCharacter: Bool { self == "_" || isLetter || properties.numericType != nil }
}
