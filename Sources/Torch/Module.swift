/// A part of a model: parameters and sub-modules under their checkpoint names.
///
/// Subclasses declare parameters with ``Parameter`` and parts with ``Child``; the key each is given is exactly its part
/// of the checkpoint key, so a checkpoint loads without a rename table:
///
/// ```swift
/// final class Attention: Module {
///     @Child("Wqkv") var qkv: Linear
///     @Child("Wo") var output: Linear
/// }
/// ```
///
/// The tree is walked once, when its parameters are first asked for; declarations are fixed from then on.
open class Module {
    /// Creates a module; subclasses assign their parameters and children first.
    public init() {}

    /// Every parameter with its full key, in order of declaration.
    public final var parameters: [(key: String, tensor: Tensor)] {
        parameterReferences.map { ($0.key, $0.reference.tensor) }
    }

    /// The number of values in all parameters.
    public final var parameterCount: Int {
        parameters.reduce(0) { $0 + $1.tensor.elementCount }
    }

    /// The parameter cells of the tree: one walk by reflection, kept, so that no forward pass reflects.
    package final lazy var parameterReferences: [(key: String, reference: ParameterReference)] = {
        var found: [(key: String, reference: ParameterReference)] = []
        collect(prefix: "", into: &found)
        return found
    }()

    private func collect(prefix: String, into found: inout [(key: String, reference: ParameterReference)]) {
        var mirrors: [Mirror] = []
        var mirror: Mirror? = Mirror(reflecting: self)
        while let current = mirror {
            mirrors.insert(current, at: 0)
            mirror = current.superclassMirror
        }
        for child in mirrors.flatMap(\.children) {
            if let parameter = child.value as? any ParameterDeclaration {
                if let reference = parameter.reference { found.append((prefix + parameter.key, reference)) }
            } else if let part = child.value as? any ChildDeclaration {
                for (key, module) in part.modules {
                    module.collect(prefix: key.isEmpty ? prefix : prefix + key + ".", into: &found)
                }
            }
        }
    }

    /// Converts every parameter to a floating-point type and moves it to a device.
    ///
    /// - Parameters:
    ///   - dtype: The new type; nil keeps each parameter's own.
    ///   - device: The new device.
    public final func convert(to dtype: DType? = nil, on device: Device = .cpu) {
        for (_, reference) in parameterReferences {
            reference.tensor = reference.tensor.to(dtype ?? reference.tensor.dtype, device)
        }
    }

    /// Starts or stops recording gradients of every parameter.
    public final func setRequiresGradient(_ required: Bool) {
        for (_, reference) in parameterReferences { reference.tensor.setRequiresGradient(required) }
    }
}

// MARK: - Declarations

/// The cell that holds one parameter.
package final class ParameterReference {
    package var tensor: Tensor

    init(_ tensor: Tensor) {
        self.tensor = tensor
    }
}

protocol ParameterDeclaration {
    var key: String { get }
    var reference: ParameterReference? { get }
}

protocol ChildDeclaration {
    /// Sub-modules with their keys below this module.
    var modules: [(key: String, module: Module)] { get }
}

/// What a ``Parameter`` can hold: a tensor, or an optional one that the configuration may leave out.
public protocol ParameterValue {
    /// The value that holds `tensor`; nil when it cannot hold none.
    static func holding(_ tensor: Tensor?) -> Self?
    /// The tensor, or nil when it is left out.
    var heldTensor: Tensor? { get }
}

extension Tensor: ParameterValue {
    /// The value that holds `tensor`, or the absence of one where that is allowed.
    public static func holding(_ tensor: Tensor?) -> Tensor? { tensor }

    /// The tensor, or nil when it is left out.
    public var heldTensor: Tensor? { self }
}

extension Tensor?: ParameterValue {
    /// The value that holds `tensor`, or the absence of one where that is allowed.
    public static func holding(_ tensor: Tensor?) -> Tensor?? { .some(tensor) }

    /// The tensor, or nil when it is left out.
    public var heldTensor: Tensor? { self }
}

/// Declares a learned tensor of a ``Module`` under its checkpoint key.
///
/// The wrapped value is a `Tensor`, or a `Tensor?` for one that the configuration may leave out. It is assigned once,
/// in the module's initialiser after `super.init()`.
@propertyWrapper
public final class Parameter<Value: ParameterValue>: ParameterDeclaration {
    let key: String
    private(set) var reference: ParameterReference?

    /// Declares a parameter whose last part of the checkpoint key is `key`.
    public init(_ key: String) {
        self.key = key
    }

    /// The declared value; reading it before it is assigned traps.
    public var wrappedValue: Value {
        get {
            guard let value = Value.holding(reference?.tensor) else {
                preconditionFailure("parameter \"\(key)\" is read before it is assigned")
            }
            return value
        }
        set { reference = newValue.heldTensor.map(ParameterReference.init) }
    }
}

/// What a ``Child`` can hold: a module, an optional one, or a list.
public protocol ModuleContainer {
    /// The modules with their keys, given the key of the declaration.
    func modules(under key: String) -> [(key: String, module: Module)]
}

extension Module: ModuleContainer {
    /// The modules with their keys below `key`.
    public final func modules(under key: String) -> [(key: String, module: Module)] { [(key, self)] }
}

extension Optional: ModuleContainer where Wrapped: Module {
    /// The modules with their keys below `key`.
    public func modules(under key: String) -> [(key: String, module: Module)] { map { [(key, $0)] } ?? [] }
}

extension Array: ModuleContainer where Element: Module {
    /// The modules with their keys below `key`.
    public func modules(under key: String) -> [(key: String, module: Module)] {
        enumerated().map { ("\(key).\($0.offset)", $0.element) }
    }
}

/// Declares a part of a ``Module`` under its checkpoint key.
///
/// The wrapped value is a `Module`, an optional one (absent parts have no keys), or an array, whose elements are
/// numbered from 0. It is assigned once, in the module's initialiser after `super.init()`.
@propertyWrapper
public final class Child<Value: ModuleContainer>: ChildDeclaration {
    let key: String
    private var value: Value?

    /// Declares a part whose part of the checkpoint key is `key`; where that is empty, the keys of the part are those of
    /// the module itself.
    public init(_ key: String) {
        self.key = key
    }

    /// The declared value; reading it before it is assigned traps.
    public var wrappedValue: Value {
        get {
            guard let value else { preconditionFailure("part \"\(key)\" is read before it is assigned") }
            return value
        }
        set { value = newValue }
    }

    var modules: [(key: String, module: Module)] { value?.modules(under: key) ?? [] }
}
