module Greeting
  def self.to(name)
    "Hello from Ruby to #{name}\n"
  end
end
