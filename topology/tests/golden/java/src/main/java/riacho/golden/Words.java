package riacho.golden;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/** Marks a method that makes a golden, and says in words what it builds: the line of the README. */
@Target(ElementType.METHOD)
@Retention(RetentionPolicy.RUNTIME)
@interface Words {
    String value();
}
